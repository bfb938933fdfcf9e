# One page: what comes in, how fresh, how fast, how much it takes. The Grafana dashboards say more.

data "aws_region" "here" {}

locals {
  charts = {
    "Requests a minute" = {
      stat    = "Sum"
      metrics = [for name, group in var.targets : ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.balancer, "TargetGroup", group, { label = name }]]
    }
    "Answers, p99, seconds" = {
      stat    = "p99"
      metrics = [for name, group in var.targets : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.balancer, "TargetGroup", group, { label = name }]]
    }
    "Age of the last record read, seconds" = {
      stat    = "Maximum"
      metrics = [for name in var.readers : ["Freshet", "freshet_last_record_age_seconds", "stack", var.name, "service", name, { label = name }]]
    }
    "Bundles published a minute" = {
      stat    = "Sum"
      metrics = [for name in var.learners : ["Freshet", "updater_bundles_total", "stack", var.name, "service", name, { label = name }]]
    }
    "The gate: 1 is open" = {
      stat    = "Minimum"
      metrics = [for name in var.learners : ["Freshet", "updater_gate_open", "stack", var.name, "service", name, { label = name }]]
    }
    "Dead letters a minute" = {
      stat    = "Sum"
      metrics = [for name in var.services : ["Freshet", "freshet_dead_letters_total", "stack", var.name, "service", name, { label = name }]]
    }
    "Running tasks" = {
      stat    = "Average"
      metrics = [for name in var.services : ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster_name, "ServiceName", name, { label = name }]]
    }
    "CPU, percent" = {
      stat    = "Average"
      metrics = [for name in var.services : ["AWS/ECS", "CPUUtilization", "ClusterName", var.cluster_name, "ServiceName", name, { label = name }]]
    }
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [for n, title in sort(keys(local.charts)) : {
      type   = "metric"
      x      = 12 * (n % 2)
      y      = 6 * floor(n / 2)
      width  = 12
      height = 6
      properties = {
        title   = title
        region  = data.aws_region.here.name
        stat    = local.charts[title].stat
        period  = 60
        metrics = local.charts[title].metrics
      }
    }]
  })
}
