output "dns_name" {
  description = "Where collector and ranking answer."
  value       = module.load_balancer.dns_name
}

output "bucket" {
  description = "Bucket of bundles, checkpoints, texts and history."
  value       = module.storage.bucket
}

output "security_group_id" {
  description = "Security group of the services: who may reach Kafka and Valkey."
  value       = aws_security_group.services.id
}

output "kms_key_arn" {
  description = "The stack's key."
  value       = module.key.arn
}

output "repositories" {
  description = "Image → where to push it."
  value       = module.registry.urls
}

output "secrets" {
  description = "Secrets to be filled in by hand, once."
  value       = module.secrets.arns
}

output "operator_role_arn" {
  description = "The role that may pin a bundle."
  value       = module.operator.role_arn
}

output "task_role_arns" {
  description = "Service → its role."
  value       = { for name, service in module.service : name => service.task_role_arn }
}

output "task_definitions" {
  description = "Service → its task: `jobs` makes topics and plans, `updater-<task>` also imports history."
  value       = { for name, service in module.service : name => service.task_definition_arn }
}

output "environments" {
  description = "Service → its environment, secrets aside."
  value       = { for name, settings in module.settings : name => settings.environment }
}

output "task_network" {
  description = "Network of a task that is run by hand, as `aws ecs run-task --network-configuration` takes it."
  value       = "awsvpcConfiguration={subnets=[${join(",", var.network.private_subnet_ids)}],securityGroups=[${aws_security_group.services.id}],assignPublicIp=DISABLED}"
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = module.cluster.cluster_name
}
