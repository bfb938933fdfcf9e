# Each service scales on its own signal. Missing data is no signal: an alarm without data is not in ALARM, and nothing happens.

locals {
  scales     = local.runs && (var.scaling.cpu != null || local.on_load || local.on_age || local.on_demand)
  on_load    = var.scaling.requests != null
  on_age     = var.scaling.age_s != null
  on_demand  = var.scaling.start_age_s != null
  dimensions = { stack = var.name, service = var.service }
  usage      = { ClusterName = var.cluster.name, ServiceName = var.service }
}

resource "aws_appautoscaling_target" "this" {
  count = local.scales ? 1 : 0

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${var.cluster.name}/${aws_ecs_service.this[0].name}"
  min_capacity       = var.scaling.min
  max_capacity       = var.scaling.max
}

resource "aws_appautoscaling_policy" "cpu" {
  count = local.runs && var.scaling.cpu != null ? 1 : 0

  name               = "${local.full}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.scaling.cpu
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "requests" {
  count = local.runs && local.on_load ? 1 : 0

  name               = "${local.full}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.scaling.requests
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = var.target.label
    }
  }
}

# A slow tail adds tasks, whatever the number of requests; only requests take them away again.
resource "aws_appautoscaling_policy" "slow" {
  count = local.runs && var.scaling.p99_s != null ? 1 : 0

  name               = "${local.full}-slow"
  policy_type        = "StepScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type          = "PercentChangeInCapacity"
    min_adjustment_magnitude = 1
    metric_aggregation_type  = "Maximum"
    cooldown                 = 120

    step_adjustment {
      metric_interval_lower_bound = "0"
      scaling_adjustment          = 25
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "slow" {
  count = local.runs && var.scaling.p99_s != null ? 1 : 0

  alarm_name                            = "${local.full}-scaling-slow"
  alarm_description                     = "Scaling: the slowest hundredth of answers took more than ${var.scaling.p99_s} s."
  namespace                             = "AWS/ApplicationELB"
  metric_name                           = "TargetResponseTime"
  dimensions                            = { LoadBalancer = var.target.balancer, TargetGroup = var.target.arn_suffix }
  extended_statistic                    = "p99"
  evaluate_low_sample_count_percentiles = "ignore"
  comparison_operator                   = "GreaterThanThreshold"
  threshold                             = var.scaling.p99_s
  period                                = 60
  evaluation_periods                    = 3
  datapoints_to_alarm                   = 2
  treat_missing_data                    = "missing"
  alarm_actions                         = [aws_appautoscaling_policy.slow[0].arn]
}

# A consumer group's lag misleads where commits are held back; the age of the last record read does not.
resource "aws_appautoscaling_policy" "age" {
  for_each = local.runs && local.on_age ? { out = 1, in = -1 } : {}

  name               = "${local.full}-age-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = each.key == "out" ? 300 : 900 # partitions move, and the newcomer catches up first

    step_adjustment {
      metric_interval_lower_bound = "0"
      scaling_adjustment          = each.value
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "behind" {
  count = local.runs && local.on_age ? 1 : 0

  alarm_name          = "${local.full}-scaling-behind"
  alarm_description   = "Scaling: the last record read is older than ${var.scaling.age_s} s."
  namespace           = "Freshet"
  metric_name         = "freshet_last_record_age_seconds"
  dimensions          = local.dimensions
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.scaling.age_s
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  treat_missing_data  = "missing"
  alarm_actions       = [aws_appautoscaling_policy.age["out"].arn]
}

# A service that keeps up has age 0 however busy it is, so that one task less must also leave it room.
resource "aws_cloudwatch_metric_alarm" "idle" {
  count = local.runs && local.on_age ? 1 : 0

  alarm_name          = "${local.full}-scaling-idle"
  alarm_description   = "Scaling: it keeps up with less than a third of its CPU."
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 15
  datapoints_to_alarm = 15
  treat_missing_data  = "missing"
  alarm_actions       = [aws_appautoscaling_policy.age["in"].arn]

  metric_query {
    id          = "idle"
    expression  = "IF(age < ${var.scaling.age_s / 2} AND cpu < 33, 1, 0)"
    label       = "idle"
    return_data = true
  }

  metric_query {
    id = "age"

    metric {
      namespace   = "Freshet"
      metric_name = "freshet_last_record_age_seconds"
      dimensions  = local.dimensions
      stat        = "Maximum"
      period      = 60
    }
  }

  metric_query {
    id = "cpu"

    metric {
      namespace   = "AWS/ECS"
      metric_name = "CPUUtilization"
      dimensions  = local.usage
      stat        = "Average"
      period      = 60
    }
  }
}

# A singleton between 0 and 1: started once what waits for it is old enough, stopped when it has kept up for a while. What it has
# learned by then it publishes as it ends; what comes later waits for the next start.
resource "aws_appautoscaling_policy" "demand" {
  for_each = local.runs && local.on_demand ? { start = 1, stop = 0 } : {}

  name               = "${local.full}-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 60

    step_adjustment {
      metric_interval_lower_bound = each.key == "start" ? "0" : null
      metric_interval_upper_bound = each.key == "stop" ? "0" : null
      scaling_adjustment          = each.value
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "demand" {
  for_each = local.runs && local.on_demand ? { start = var.scaling.start_age_s, stop = 60 } : {}

  alarm_name          = "${local.full}-scaling-${each.key}"
  alarm_description   = each.key == "start" ? "Scaling: an example has waited ${each.value} s to be learned." : "Scaling: for ten minutes no example has waited ${each.value} s to be learned."
  namespace           = "Freshet"
  metric_name         = "freshet_oldest_unlearned_seconds"
  dimensions          = merge(local.dimensions, { service = var.scaling.start_signal_from })
  statistic           = "Maximum"
  comparison_operator = each.key == "start" ? "GreaterThanOrEqualToThreshold" : "LessThanThreshold"
  threshold           = each.value
  period              = 60
  evaluation_periods  = each.key == "start" ? 1 : 10
  datapoints_to_alarm = each.key == "start" ? 1 : 10
  treat_missing_data  = "missing"
  alarm_actions       = [aws_appautoscaling_policy.demand[each.key].arn]
}
