output "value" {
  description = "The password; only a write-only argument can take it."
  value       = ephemeral.aws_secretsmanager_random_password.this.random_password
  ephemeral   = true
  sensitive   = true
}
