output "role_arn" {
  description = "The role to take."
  value       = aws_iam_role.this.arn
}
