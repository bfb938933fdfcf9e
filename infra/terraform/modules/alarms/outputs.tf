output "topic_arn" {
  description = "Where alarms are told."
  value       = aws_sns_topic.this.arn
}

output "names" {
  description = "What is watched, without the stack's name."
  value       = keys(local.alarms)
}
