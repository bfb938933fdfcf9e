# MSK, provisioned or serverless: TLS always, clients known by their role (IAM) or by a password (SCRAM).

locals {
  serverless = var.kind == "serverless"
  port       = { iam = 9098, scram = 9096 }[var.auth]
  # What shared/kafka/topics.py demands of three replicas; a topic is made by `freshet topics`, never by a stray producer.
  properties = {
    "auto.create.topics.enable"      = false
    "default.replication.factor"     = var.replicas
    "min.insync.replicas"            = var.replicas - 1
    "unclean.leader.election.enable" = false
    "message.max.bytes"              = 8 * 1024 * 1024
    "replica.fetch.max.bytes"        = 8 * 1024 * 1024
    "offsets.retention.minutes"      = 30 * 24 * 60
  }
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-kafka-"
  description = "Kafka of ${var.name}"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = "Kafka from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_msk_serverless_cluster" "this" {
  count = local.serverless ? 1 : 0

  cluster_name = var.name

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.this.id]
  }

  client_authentication {
    sasl {
      iam {
        enabled = true
      }
    }
  }
}

resource "aws_msk_configuration" "this" {
  count = local.serverless ? 0 : 1

  name              = var.name
  kafka_versions    = [var.kafka_version]
  server_properties = join("\n", [for key, value in local.properties : "${key}=${value}"])

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "this" {
  count = local.serverless ? 0 : 1

  name              = "/${var.name}/kafka"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_msk_cluster" "this" {
  count = local.serverless ? 0 : 1

  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = length(var.subnet_ids) * var.brokers_per_zone
  enhanced_monitoring    = "PER_TOPIC_PER_BROKER"

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.subnet_ids
    security_groups = [aws_security_group.this.id]

    storage_info {
      ebs_storage_info {
        volume_size = var.volume_gib
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      iam   = var.auth == "iam"
      scram = var.auth == "scram"
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this[0].arn
    revision = aws_msk_configuration.this[0].latest_revision
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this[0].name
      }
    }
  }

  lifecycle {
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size] # volumes only grow
  }
}

resource "aws_secretsmanager_secret" "scram" {
  #checkov:skip=CKV2_AWS_57:scram_rotation changes it; clients must start again to read it

  count = var.auth == "scram" ? 1 : 0

  name       = "AmazonMSK_${var.name}" # MSK takes no other prefix,
  kms_key_id = var.kms_key_arn         # and no key of AWS's own
}

resource "aws_secretsmanager_secret_version" "scram" {
  count = var.auth == "scram" ? 1 : 0

  secret_id                = aws_secretsmanager_secret.scram[0].id
  secret_string_wo         = jsonencode({ username = var.name, password = var.scram_password })
  secret_string_wo_version = var.scram_rotation
}

resource "aws_msk_single_scram_secret_association" "scram" {
  count = var.auth == "scram" ? 1 : 0

  cluster_arn = aws_msk_cluster.this[0].arn
  secret_arn  = aws_secretsmanager_secret_version.scram[0].arn
}
