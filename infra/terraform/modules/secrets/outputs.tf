output "arns" {
  description = "Secret → its ARN."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}
