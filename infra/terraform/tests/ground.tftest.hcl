# Network, cluster and load balancer.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "freshet"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/one"
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-a", "subnet-b", "subnet-c"]
}

run "network" {
  command = plan

  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(distinct(aws_subnet.private[*].availability_zone)) == 3 && length(distinct(aws_subnet.public[*].availability_zone)) == 3
    error_message = "Subnets in three availability zones."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_route_table.private) == 3
    error_message = "Each zone has its own way out."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "Bundles do not pass the NAT gateway."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.map_public_ip_on_launch != true])
    error_message = "What is private has no public address."
  }
}

run "cluster_without_gpu" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  assert {
    condition     = aws_ecs_cluster_capacity_providers.this.capacity_providers == toset(["FARGATE"]) && length(aws_autoscaling_group.gpu) == 0 && output.gpu == null
    error_message = "Without a GPU there are no machines of ours."
  }
}

run "cluster_with_gpu" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  variables {
    gpu = {}
  }

  assert {
    condition     = aws_ecs_capacity_provider.gpu[0].auto_scaling_group_provider[0].managed_scaling[0].status == "ENABLED" && aws_ecs_capacity_provider.gpu[0].auto_scaling_group_provider[0].managed_termination_protection == "ENABLED"
    error_message = "ECS starts and stops GPU machines, and never one that works."
  }

  assert {
    condition     = aws_autoscaling_group.gpu[0].min_size == 0 && aws_autoscaling_group.gpu[0].max_size == 1 && aws_autoscaling_group.gpu[0].protect_from_scale_in
    error_message = "There may be no machine at all."
  }

  assert {
    condition     = aws_launch_template.gpu[0].metadata_options[0].http_tokens == "required" && one(aws_launch_template.gpu[0].block_device_mappings).ebs[0].encrypted == "true"
    error_message = "Machines ask for a token before they tell their role, and their disks are encrypted."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.gpu[0].user_data), "ECS_AWSVPC_BLOCK_IMDS=true")
    error_message = "A task cannot take the machine's role."
  }
}

run "gpu_machines_have_gpus" {
  command = plan

  module {
    source = "./modules/cluster"
  }

  variables {
    gpu = { instance_type = "m7i.large" }
  }

  expect_failures = [var.gpu]
}

run "load_balancer" {
  command = plan

  module {
    source = "./modules/load_balancer"
  }

  variables {
    client_cidrs             = ["198.51.100.0/24"]
    certificate_arn          = "arn:aws:acm:eu-central-1:123456789012:certificate/one"
    target_security_group_id = "sg-services"
    logs_bucket              = "shop-logs"

    targets = {
      collector       = { port = 18080, paths = ["/events", "/items"] }
      ranking-ranking = { port = 18081, paths = ["/rank", "/recommend", "/explain"] }
      ranking-ads     = { port = 18081, paths = ["/rank", "/recommend", "/explain"], hosts = ["ads.example"] }
    }
  }

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13")
    error_message = "TLS, and no old one."
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.https) == ["198.51.100.0/24"] && aws_vpc_security_group_ingress_rule.https["198.51.100.0/24"].from_port == 443
    error_message = "Only the clients that are named come in, over TLS alone."
  }

  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : group.health_check[0].path == "/readyz" && group.target_type == "ip"])
    error_message = "Only tasks that are ready are asked."
  }

  assert {
    condition     = aws_lb_listener.https.default_action[0].fixed_response[0].status_code == "404"
    error_message = "What is no door, such as /metrics, reaches no service."
  }

  assert {
    condition     = aws_lb_listener_rule.this["ranking-ads"].priority < aws_lb_listener_rule.this["ranking-ranking"].priority
    error_message = "A rule with a host comes before one without."
  }
}

run "two_services_do_not_share_a_path" {
  command = plan

  module {
    source = "./modules/load_balancer"
  }

  variables {
    client_cidrs             = ["198.51.100.0/24"]
    certificate_arn          = "arn:aws:acm:eu-central-1:123456789012:certificate/one"
    target_security_group_id = "sg-services"
    logs_bucket              = "shop-logs"

    targets = {
      one = { port = 18081, paths = ["/rank"] }
      two = { port = 18081, paths = ["/rank"] }
    }
  }

  expect_failures = [var.targets]
}
