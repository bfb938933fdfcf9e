output "dns_name" {
  description = "Where the doors are."
  value       = aws_lb.this.dns_name
}

output "security_group_id" {
  description = "From whom the services take requests."
  value       = aws_security_group.this.id
}

output "arn_suffix" {
  description = "The load balancer's name in CloudWatch."
  value       = aws_lb.this.arn_suffix
}

output "targets" {
  description = "Service → its target group: ARN, and name in CloudWatch. Known once requests can come."
  value = {
    for name, group in aws_lb_target_group.this : name => {
      arn        = group.arn
      arn_suffix = group.arn_suffix
      label      = "${aws_lb.this.arn_suffix}/${group.arn_suffix}"
    }
  }

  depends_on = [aws_lb_listener_rule.this]
}
