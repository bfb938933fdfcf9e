output "connection" {
  description = "What the services need to connect: the `kafka` of the module freshet."
  value = {
    bootstrap = local.serverless ? aws_msk_serverless_cluster.this[0].bootstrap_brokers_sasl_iam : (
      var.auth == "iam" ? aws_msk_cluster.this[0].bootstrap_brokers_sasl_iam : aws_msk_cluster.this[0].bootstrap_brokers_sasl_scram
    )
    auth        = var.auth
    cluster_arn = local.serverless ? aws_msk_serverless_cluster.this[0].arn : aws_msk_cluster.this[0].arn
    secret_arn  = var.auth == "scram" ? aws_msk_single_scram_secret_association.scram[0].secret_arn : null
    replicas    = var.replicas
  }
}
