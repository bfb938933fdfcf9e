output "dns_name" {
  description = "Where collector and ranking answer."
  value       = module.freshet.dns_name
}

output "bucket" {
  description = "Bucket of bundles, checkpoints, texts and history."
  value       = module.freshet.bucket
}

output "repositories" {
  description = "Image → where to push it."
  value       = module.freshet.repositories
}

output "secrets" {
  description = "Secrets to be filled in by hand, once."
  value       = module.freshet.secrets
}

output "task_definitions" {
  description = "Service → its task: what to run by hand, once."
  value       = module.freshet.task_definitions
}

output "task_network" {
  description = "Network of a task that is run by hand, as `aws ecs run-task --network-configuration` takes it."
  value       = module.freshet.task_network
}

output "environments" {
  description = "Service → its environment, secrets aside."
  value       = module.freshet.environments
}
