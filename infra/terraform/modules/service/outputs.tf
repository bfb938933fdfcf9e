output "task_role_arn" {
  description = "The role that the service acts under."
  value       = aws_iam_role.task.arn
}

output "task_definition_arn" {
  description = "The task, to be run by hand where it is a job."
  value       = aws_ecs_task_definition.this.arn
}

output "service_name" {
  description = "The ECS service; null for a job."
  value       = one(aws_ecs_service.this[*].name)
}

output "deployment" {
  description = "Least and most percent of tasks during a rollout; null for a job."
  value = one([for service in aws_ecs_service.this : {
    minimum = service.deployment_minimum_healthy_percent
    maximum = service.deployment_maximum_percent
  }])
}
