# One ECS service: its task, its own role, its own scaling. With `scaling.max` 0 it is only a task to be run by hand.

locals {
  full    = "${var.name}-${var.service}"
  runs    = var.scaling.max > 0
  fargate = var.gpus == 0
}

resource "aws_service_discovery_service" "this" {
  count = local.runs ? 1 : 0

  name          = var.service
  force_destroy = true

  dns_config {
    namespace_id = var.cluster.namespace_id

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_ecs_service" "this" {
  count = local.runs ? 1 : 0

  name            = var.service
  cluster         = var.cluster.arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = var.scaling.min
  propagate_tags  = "SERVICE"

  # A singleton's old task ends before the new one starts; all others start first, so that nobody notices a rollout.
  deployment_minimum_healthy_percent = var.singleton ? 0 : 100
  deployment_maximum_percent         = var.singleton ? 100 : 200
  availability_zone_rebalancing      = var.singleton ? "DISABLED" : "ENABLED"
  health_check_grace_period_seconds  = var.target == null ? null : var.start_seconds

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  capacity_provider_strategy {
    capacity_provider = local.fargate ? var.cluster.fargate : var.cluster.gpu
    weight            = 1
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this[0].arn
  }

  dynamic "load_balancer" {
    for_each = var.target == null ? [] : [var.target.arn]

    content {
      target_group_arn = load_balancer.value
      container_name   = "service"
      container_port   = var.port
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # scaling's, and the operator's who pauses learning
  }
}
