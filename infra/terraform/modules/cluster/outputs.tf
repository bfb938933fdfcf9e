output "arn" {
  description = "The cluster."
  value       = aws_ecs_cluster.this.arn
}

output "cluster_name" {
  description = "Its name."
  value       = aws_ecs_cluster.this.name
}

output "namespace_id" {
  description = "Namespace in which services are found by name."
  value       = aws_service_discovery_private_dns_namespace.this.id
}

output "fargate" {
  description = "Capacity provider of tasks without a GPU, once the cluster has it."
  value       = "FARGATE"

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "gpu" {
  description = "Capacity provider of tasks with a GPU, once the cluster has it; null where there is none."
  value       = one(aws_ecs_capacity_provider.gpu[*].name)

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

output "machines" {
  description = "Least and greatest number of machines with a GPU; null where there is none."
  value       = one([for group in aws_autoscaling_group.gpu : { min = group.min_size, max = group.max_size }])
}
