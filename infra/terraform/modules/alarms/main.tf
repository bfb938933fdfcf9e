# What wakes somebody. Where data must flow, its absence is an alarm as well; scaling's own alarms are in the module service.

locals {
  services = {
    for name, service in var.services : "${name}-tasks" => {
      says       = "${name} has fewer running tasks than its least number."
      namespace  = "ECS/ContainerInsights"
      metric     = "RunningTaskCount"
      dimensions = { ClusterName = var.cluster_name, ServiceName = name }
      statistic  = "Minimum"
      below      = service.min
      minutes    = 5
      silence    = "breaching"
    } if service.min > 0
  }

  readers = {
    for name, service in var.services : "${name}-behind" => {
      says       = "${name} reads records that are old: freshness suffers."
      metric     = "freshet_last_record_age_seconds"
      dimensions = { stack = var.name, service = name }
      above      = service.behind_s
      minutes    = 5
      silence    = "breaching"
    } if service.behind_s != null
  }

  learners = merge([
    for name, service in var.services : {
      "${name}-gate" = {
        says       = "The gate of ${name} holds bundles back: an older one is served."
        metric     = "updater_gate_open"
        dimensions = { stack = var.name, service = name }
        statistic  = "Minimum"
        below      = 1
        minutes    = 5
        silence    = "missing"
      }
      "${name}-publishes" = {
        says       = "${name} has published nothing for ${service.publishes_minutes} minutes."
        metric     = "updater_bundles_total"
        dimensions = { stack = var.name, service = name }
        statistic  = "Sum"
        below      = 1
        minutes    = service.publishes_minutes
        silence    = service.min > 0 ? "breaching" : "missing" # one that is stopped says nothing
      }
    } if service.publishes_minutes != null
  ]...)

  # Told by a joiner, who runs all the time: its silence would start no updater, and nobody would hear of it.
  waiting = {
    for name, service in var.services : "${name}-waits" => {
      says       = "Examples wait for ${name}, or nobody says whether they do."
      metric     = "freshet_oldest_unlearned_seconds"
      dimensions = { stack = var.name, service = service.waits_from }
      above      = service.waits_s
      minutes    = 5
      silence    = "breaching"
    } if service.waits_s != null
  }

  letters = {
    for name, service in var.services : "${name}-dead-letters" => {
      says       = "${name} refuses records."
      metric     = "freshet_dead_letters_total"
      dimensions = { stack = var.name, service = name }
      statistic  = "Sum"
      above      = var.dead_letters
      minutes    = 5
      silence    = "notBreaching" # a counter that nothing has counted yet
    } if service.dead_letters
  }

  doors = merge([
    for name, group in var.targets : {
      "${name}-errors" = {
        says       = "${name} answers with errors."
        namespace  = "AWS/ApplicationELB"
        metric     = "HTTPCode_Target_5XX_Count"
        dimensions = { LoadBalancer = var.balancer, TargetGroup = group }
        statistic  = "Sum"
        above      = var.errors
        minutes    = 5
        silence    = "notBreaching" # no error, no data
      }
      "${name}-unhealthy" = {
        says       = "Tasks of ${name} are not ready."
        namespace  = "AWS/ApplicationELB"
        metric     = "UnHealthyHostCount"
        dimensions = { LoadBalancer = var.balancer, TargetGroup = group }
        above      = 0
        minutes    = 10
        silence    = "missing"
      }
    }
  ]...)

  nodes = merge([
    for node in var.valkey_node_ids : {
      "${node}-memory" = {
        says       = "Valkey is filling up; a full one refuses writes and counters stand still."
        namespace  = "AWS/ElastiCache"
        metric     = "DatabaseMemoryUsagePercentage"
        dimensions = { CacheClusterId = node }
        above      = 80
        minutes    = 10
        silence    = "breaching"
      }
    }
  ]...)

  alarms = merge(local.services, local.readers, local.learners, local.waiting, local.letters, local.doors, local.nodes)
}

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = try(each.value.namespace, "Freshet")
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = try(each.value.statistic, "Maximum")
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  period              = try(each.value.statistic, "") == "Sum" ? 60 * each.value.minutes : 60
  evaluation_periods  = try(each.value.statistic, "") == "Sum" ? 1 : each.value.minutes
  treat_missing_data  = each.value.silence
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
