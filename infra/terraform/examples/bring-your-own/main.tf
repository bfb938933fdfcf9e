# The loop in a network of yours, on your own Kafka and Valkey.

provider "aws" {
  region = var.region

  default_tags {
    tags = { stack = var.name }
  }
}

module "freshet" {
  source = "../../modules/freshet"

  name            = var.name
  image_tag       = var.image_tag
  metrics_tag     = var.metrics_tag
  certificate_arn = var.certificate_arn
  client_cidrs    = var.client_cidrs
  operator_arns   = var.operator_arns
  network         = var.network
  kafka           = var.kafka
  valkey          = { secret_arn = var.valkey_secret_arn }
  running         = var.running
  throwaway       = var.throwaway
}
