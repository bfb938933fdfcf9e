output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.data.bucket
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.data.arn
}

output "logs_bucket" {
  description = "Name of the bucket that takes access logs, once it lets them in."
  value       = aws_s3_bucket_policy.logs.bucket
}
