# One ECS service: how it starts, stops, scales, and what it may do.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name               = "freshet"
  service            = "features"
  kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/one"
  cluster            = { arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/freshet", name = "freshet", namespace_id = "ns-1", fargate = "FARGATE", gpu = "freshet-gpu" }
  image              = "images.example/features:1"
  repository_arns    = ["arn:aws:ecr:eu-central-1:123456789012:repository/features"]
  subnet_ids         = ["subnet-a", "subnet-b", "subnet-c"]
  security_group_ids = ["sg-services"]
  port               = 18082
  cpu                = 1024
  memory             = 2048
  environment        = { FRESHET_KAFKA = "kafka.example:9098" }
  statements         = [{ sid = "One", actions = ["s3:GetObject"], resources = ["arn:aws:s3:::shop/ranking/*"] }]
  metrics            = { image = "images.example/metrics:1", names = ["freshet_last_record_age_seconds", "freshet_oldest_unlearned_seconds"] }
  partitions         = 16
  scaling            = { min = 2, max = 16, age_s = 10 }
}

run "a_service_that_shares_partitions" {
  command = plan

  module {
    source = "./modules/service"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.behind[0].metric_name == "freshet_last_record_age_seconds" && aws_cloudwatch_metric_alarm.behind[0].statistic == "Maximum" && aws_cloudwatch_metric_alarm.behind[0].threshold == 10
    error_message = "It scales on the age of the last record read, of the partition that is furthest behind."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.behind[0].treat_missing_data == "missing" && aws_cloudwatch_metric_alarm.idle[0].treat_missing_data == "missing" && length(coalesce(aws_cloudwatch_metric_alarm.behind[0].insufficient_data_actions, [])) == 0 && length(coalesce(aws_cloudwatch_metric_alarm.idle[0].insufficient_data_actions, [])) == 0
    error_message = "It never scales on missing data."
  }

  assert {
    condition     = one(aws_appautoscaling_policy.age["out"].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == 1 && one(aws_appautoscaling_policy.age["in"].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == -1
    error_message = "One task more, or one less."
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].max_capacity == 16 && aws_appautoscaling_target.this[0].min_capacity == 2
    error_message = "At most as many tasks as partitions."
  }

  assert {
    condition     = aws_ecs_service.this[0].deployment_circuit_breaker[0].enable && aws_ecs_service.this[0].deployment_circuit_breaker[0].rollback
    error_message = "A deployment that fails is taken back."
  }

  assert {
    condition     = aws_ecs_service.this[0].deployment_minimum_healthy_percent == 100 && aws_ecs_service.this[0].deployment_maximum_percent == 200
    error_message = "A rollout starts the new before it stops the old."
  }

  assert {
    condition     = length(aws_ecs_service.this[0].network_configuration[0].subnets) == 3 && aws_ecs_service.this[0].availability_zone_rebalancing == "ENABLED" && !aws_ecs_service.this[0].network_configuration[0].assign_public_ip
    error_message = "Tasks are spread over the zones, in private subnets."
  }

  assert {
    condition     = strcontains(join(" ", jsondecode(aws_ecs_task_definition.this.container_definitions)[1].healthCheck.command), ":18082/livez")
    error_message = "A task that does not live is replaced."
  }

  assert {
    condition     = aws_ecs_task_definition.this.network_mode == "awsvpc" && alltrue([for setting in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment : !endswith(setting.name, "_INSTANCE")])
    error_message = "A member of a consumer group is named by its container's hostname, which is each task's own."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].stopTimeout == 60
    error_message = "A task has time to stop in order."
  }

  assert {
    condition     = alltrue([for c in jsondecode(aws_ecs_task_definition.this.container_definitions) : c.readonlyRootFilesystem && c.linuxParameters.capabilities.drop == ["ALL"]])
    error_message = "Root file systems are read-only, and no container has a capability."
  }

  assert {
    condition     = strcontains(jsondecode(aws_ecs_task_definition.this.container_definitions)[2].environment[0].value, "freshet_last_record_age_seconds") && !jsondecode(aws_ecs_task_definition.this.container_definitions)[2].essential
    error_message = "The signal reaches CloudWatch, and its messenger takes nobody down."
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.task.policy).Statement) == 2 && jsondecode(aws_iam_role_policy.task.policy).Statement[1].Resource == ["arn:aws:s3:::shop/ranking/*"]
    error_message = "Its own role may do what it is given, and hand on its metrics."
  }

  assert {
    condition     = jsondecode(aws_iam_role.task.assume_role_policy).Statement[0].Principal.Service == "ecs-tasks.amazonaws.com" && aws_iam_role.task.name == "freshet-features" && aws_iam_role.execution.name != aws_iam_role.task.name
    error_message = "Each service has a role of its own, which tasks alone can take."
  }

  assert {
    condition     = length(aws_ecs_service.this[0].service_registries) == 1 && one(aws_service_discovery_service.this[0].dns_config[0].dns_records).type == "A"
    error_message = "Its tasks are found by its name."
  }
}

run "no_more_tasks_than_partitions" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    scaling = { min = 2, max = 17, age_s = 10 }
  }

  expect_failures = [var.scaling]
}

run "who_scales_on_age_exports_it" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    metrics = { image = "images.example/metrics:1", names = [] }
  }

  expect_failures = [var.metrics]
}

run "two_members_never_share_a_name" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    environment = { FRESHET_FEATURES_INSTANCE = "one" }
  }

  expect_failures = [var.environment]
}

run "no_statement_allows_everything" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    statements = [{ sid = "All", actions = ["s3:GetObject"], resources = ["*"] }]
  }

  expect_failures = [var.statements]
}

run "an_image_names_its_tag" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    image = "images.example/features:latest"
  }

  expect_failures = [var.image]
}

run "a_secret_is_a_reference" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    secrets = { FRESHET_REDIS = format("rediss://user:%s@host", "one") }
  }

  expect_failures = [var.secrets]
}

run "secrets" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    secrets      = { FRESHET_REDIS = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:valkey:url::" }
    secret_files = { "/run/freshet/verify.pem" = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:verify" }
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].secrets == [{ name = "FRESHET_REDIS", valueFrom = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:valkey:url::" }]
    error_message = "A secret is filled in by ECS, from its reference."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets[0].name == "VERIFY_PEM" && jsondecode(aws_ecs_task_definition.this.container_definitions)[1].dependsOn[0].condition == "SUCCESS"
    error_message = "A secret that is a file is written before the service starts, and only the writer has it in its environment."
  }

  assert {
    condition = anytrue([for s in jsondecode(aws_iam_role_policy.execution.policy).Statement :
    s.Sid == "Secrets" && s.Resource == ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:valkey", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:verify"]])
    error_message = "ECS reads these secrets and no others."
  }
}

run "a_service_behind_the_load_balancer" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    service    = "ranking-ranking"
    partitions = null
    target     = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/one/3", arn_suffix = "targetgroup/one/3", label = "app/freshet/1/targetgroup/one/3", balancer = "app/freshet/1" }
    scaling    = { min = 2, max = 100, requests = 6000, p99_s = 0.1 }
  }

  assert {
    condition     = aws_appautoscaling_policy.requests[0].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ALBRequestCountPerTarget" && aws_appautoscaling_policy.requests[0].target_tracking_scaling_policy_configuration[0].target_value == 6000
    error_message = "It scales on requests per target."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.slow[0].extended_statistic == "p99" && aws_cloudwatch_metric_alarm.slow[0].threshold == 0.1 && aws_cloudwatch_metric_alarm.slow[0].treat_missing_data == "missing" && aws_cloudwatch_metric_alarm.slow[0].evaluate_low_sample_count_percentiles == "ignore"
    error_message = "It scales on p99 latency, and never on missing data."
  }

  assert {
    condition     = one(aws_appautoscaling_policy.slow[0].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment > 0
    error_message = "Latency adds tasks and takes none away."
  }

  assert {
    condition     = one(aws_ecs_service.this[0].load_balancer).container_port == 18082 && aws_ecs_service.this[0].health_check_grace_period_seconds == 120
    error_message = "It is a target once it has had time to start."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.behind) == 0 && length(aws_appautoscaling_policy.cpu) == 0
    error_message = "It scales on its own signals alone."
  }
}

run "latency_needs_a_load_balancer" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    scaling = { min = 2, max = 16, requests = 6000 }
  }

  expect_failures = [var.scaling]
}

run "a_service_that_scales_on_cpu" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    scaling = { min = 2, max = 16, cpu = 60 }
  }

  assert {
    condition     = aws_appautoscaling_policy.cpu[0].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ECSServiceAverageCPUUtilization" && length(aws_cloudwatch_metric_alarm.behind) == 0
    error_message = "It scales on CPU alone."
  }
}

run "a_singleton_on_a_gpu" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    service    = "updater-ranking"
    partitions = null
    singleton  = true
    gpus       = 1
    scaling    = { min = 1, max = 1 }
  }

  assert {
    condition     = aws_ecs_service.this[0].desired_count == 1 && aws_ecs_service.this[0].deployment_maximum_percent == 100 && aws_ecs_service.this[0].deployment_minimum_healthy_percent == 0
    error_message = "The old one ends before the new one starts: never two."
  }

  assert {
    condition     = one(aws_ecs_service.this[0].capacity_provider_strategy).capacity_provider == "freshet-gpu" && jsondecode(aws_ecs_task_definition.this.container_definitions)[1].resourceRequirements == [{ type = "GPU", value = "1" }] && aws_ecs_task_definition.this.requires_compatibilities == toset(["EC2"])
    error_message = "It runs on a GPU machine."
  }

  assert {
    condition     = length(aws_appautoscaling_target.this) == 0
    error_message = "Nothing stops an updater that publishes all the time."
  }
}

run "a_singleton_that_is_stopped_in_between" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    service    = "updater-ranking"
    partitions = null
    singleton  = true
    scaling    = { min = 0, max = 1, start_age_s = 3600, start_signal_from = "joiner-ranking" }
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].min_capacity == 0 && aws_appautoscaling_target.this[0].max_capacity == 1
    error_message = "0 or 1."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.demand["start"].metric_name == "freshet_oldest_unlearned_seconds" && aws_cloudwatch_metric_alarm.demand["start"].threshold == 3600 && aws_cloudwatch_metric_alarm.demand["start"].dimensions["service"] == "joiner-ranking"
    error_message = "The age of the oldest unlearned example starts it, as the joiner tells it, who runs all the time."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.demand["stop"].threshold == 60 && aws_cloudwatch_metric_alarm.demand["stop"].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.demand["stop"].evaluation_periods == 10 && aws_cloudwatch_metric_alarm.demand["stop"].datapoints_to_alarm == 10
    error_message = "It is stopped once it has kept up for ten minutes, however many examples come in them."
  }

  assert {
    condition     = one(aws_appautoscaling_policy.demand["start"].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == 1 && one(aws_appautoscaling_policy.demand["stop"].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == 0
    error_message = "It is started, and stopped."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.demand : alarm.treat_missing_data == "missing"])
    error_message = "It is neither started nor stopped on missing data."
  }
}

run "what_publishes_often_is_not_stopped" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    partitions = null
    singleton  = true
    scaling    = { min = 0, max = 1, start_age_s = 3599, start_signal_from = "joiner-ranking" }
  }

  expect_failures = [var.scaling]
}

run "never_two_of_a_singleton" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    singleton = true
    scaling   = { min = 1, max = 2 }
  }

  expect_failures = [var.scaling]
}

run "a_job_is_a_task_alone" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    service    = "jobs"
    partitions = null
    scaling    = { min = 0, max = 0 }
  }

  assert {
    condition     = length(aws_ecs_service.this) == 0 && length(aws_appautoscaling_target.this) == 0 && length(jsondecode(aws_ecs_task_definition.this.container_definitions)) == 2
    error_message = "A job is run by hand."
  }
}
