# Everything: network, Kafka, Valkey, and the loop between them.

provider "aws" {
  region = var.region

  default_tags {
    tags = { stack = var.name }
  }
}

module "network" {
  source = "../../modules/network"

  name        = var.name
  kms_key_arn = module.freshet.kms_key_arn
}

module "kafka" {
  source = "../../modules/kafka"

  name                      = var.name
  vpc_id                    = module.network.vpc_id
  subnet_ids                = module.network.private_subnet_ids
  kms_key_arn               = module.freshet.kms_key_arn
  client_security_group_ids = { services = module.freshet.security_group_id }
  kind                      = var.kafka_kind
  auth                      = var.kafka_auth
  scram_password            = one(module.kafka_password[*].value)
}

module "kafka_password" {
  source = "../../modules/password"
  count  = var.kafka_auth == "scram" ? 1 : 0
}

module "valkey" {
  source = "../../modules/valkey"

  name                      = var.name
  vpc_id                    = module.network.vpc_id
  subnet_ids                = module.network.private_subnet_ids
  kms_key_arn               = module.freshet.kms_key_arn
  client_security_group_ids = { services = module.freshet.security_group_id }
}

module "freshet" {
  source = "../../modules/freshet"

  name            = var.name
  image_tag       = var.image_tag
  metrics_tag     = var.metrics_tag
  certificate_arn = var.certificate_arn
  internal        = false
  client_cidrs    = var.client_cidrs
  operator_arns   = var.operator_arns
  alarm_emails    = var.alarm_emails
  running         = var.running
  kafka           = module.kafka.connection
  valkey          = module.valkey.connection
  metrics_cidrs   = [module.network.cidr]

  tasks = { ranking = { gpu = var.gpu } }

  network = {
    vpc_id              = module.network.vpc_id
    private_subnet_ids  = module.network.private_subnet_ids
    balancer_subnet_ids = module.network.public_subnet_ids
    engine_cidrs        = [module.network.cidr]
    engine_ports        = [6379, var.kafka_auth == "scram" ? 9096 : 9098]
  }
}
