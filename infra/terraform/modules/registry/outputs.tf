output "urls" {
  description = "Image → address of its repository."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.repository_url }
}

output "arns" {
  description = "Image → ARN of its repository."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.arn }
}
