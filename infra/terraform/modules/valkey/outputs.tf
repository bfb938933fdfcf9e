output "connection" {
  description = "What the services need to connect: the `valkey` of the module freshet."
  value = {
    urls = {
      for name, user in aws_elasticache_user.this :
      name => "rediss://${user.user_name}@${aws_elasticache_replication_group.this.primary_endpoint_address}:6379/0"
    }
    group_arn  = aws_elasticache_replication_group.this.arn
    user_arns  = { for name, user in aws_elasticache_user.this : name => user.arn }
    node_ids   = [for n in range(1, 2 + var.replicas) : format("%s-%03d", var.name, n)]
    secret_arn = null
  }
}
