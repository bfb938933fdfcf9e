# Kafka and Valkey: encrypted on the way and at rest, nobody without a name, copies in other zones.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                      = "freshet"
  kms_key_arn               = "arn:aws:kms:eu-central-1:123456789012:key/one"
  vpc_id                    = "vpc-1"
  subnet_ids                = ["subnet-a", "subnet-b", "subnet-c"]
  client_security_group_ids = { services = "sg-services" }
}

run "kafka_with_iam" {
  command = plan

  module {
    source = "./modules/kafka"
  }

  assert {
    condition     = aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].client_broker == "TLS" && aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].in_cluster
    error_message = "Kafka speaks TLS, to clients and among brokers."
  }

  assert {
    condition     = !aws_msk_cluster.this[0].client_authentication[0].unauthenticated && aws_msk_cluster.this[0].client_authentication[0].sasl[0].iam && !aws_msk_cluster.this[0].client_authentication[0].sasl[0].scram
    error_message = "Clients are known by their role, and nobody comes in without."
  }

  assert {
    condition     = aws_msk_cluster.this[0].number_of_broker_nodes == 3
    error_message = "A broker in each zone."
  }

  assert {
    condition = alltrue([for line in ["auto.create.topics.enable=false", "unclean.leader.election.enable=false", "min.insync.replicas=2", "default.replication.factor=3"] :
    contains(split("\n", aws_msk_configuration.this[0].server_properties), line)])
    error_message = "An acknowledged record is on two brokers, and no producer makes a topic."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.clients) == 1 && aws_vpc_security_group_ingress_rule.clients["services"].from_port == 9098
    error_message = "Only the services reach Kafka, on the port of IAM."
  }

  assert {
    condition     = output.connection.auth == "iam" && output.connection.bootstrap == "kafka.example:9098"
    error_message = "The services are given the port of IAM."
  }
}

run "kafka_with_scram" {
  command = plan

  module {
    source = "./modules/kafka"
  }

  variables {
    auth           = "scram"
    scram_password = join("-", ["a", "password", "of", "many", "characters"])
  }

  assert {
    condition     = aws_msk_cluster.this[0].client_authentication[0].sasl[0].scram && !aws_msk_cluster.this[0].client_authentication[0].unauthenticated
    error_message = "Clients are known by a password, and nobody comes in without."
  }

  assert {
    condition     = aws_msk_single_scram_secret_association.scram[0].secret_arn == output.connection.secret_arn && aws_secretsmanager_secret_version.scram[0].secret_string == null && aws_secretsmanager_secret_version.scram[0].secret_string_wo == null && aws_secretsmanager_secret.scram[0].kms_key_id == var.kms_key_arn
    error_message = "MSK and the services are given the password by reference; it is not in the state."
  }
}

run "kafka_serverless" {
  command = plan

  module {
    source = "./modules/kafka"
  }

  variables {
    kind = "serverless"
  }

  assert {
    condition     = length(aws_msk_serverless_cluster.this) == 1 && length(aws_msk_cluster.this) == 0 && aws_msk_serverless_cluster.this[0].client_authentication[0].sasl[0].iam[0].enabled
    error_message = "MSK Serverless with IAM stands in for brokers of our own."
  }
}

run "kafka_serverless_has_no_passwords" {
  command = plan

  module {
    source = "./modules/kafka"
  }

  variables {
    kind           = "serverless"
    auth           = "scram"
    scram_password = join("-", ["a", "password", "of", "many", "characters"])
  }

  expect_failures = [var.auth]
}

run "valkey" {
  command = plan

  module {
    source = "./modules/valkey"
  }

  assert {
    condition     = aws_elasticache_replication_group.this.engine == "valkey" && aws_elasticache_replication_group.this.num_cache_clusters == 2 && aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "A primary with a replica in another zone that takes over."
  }

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required" && tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled)
    error_message = "Valkey speaks TLS and nothing else, and is encrypted at rest."
  }

  assert {
    condition     = alltrue([for user in aws_elasticache_user.this : user.authentication_mode[0].type == "iam"]) && length(aws_elasticache_replication_group.this.user_group_ids) == 1 && aws_elasticache_replication_group.this.auth_token == null
    error_message = "Every user is a role; there is no password that a state could hold."
  }

  assert {
    condition     = !strcontains(aws_elasticache_user.this["ranking"].access_string, "+@write") && strcontains(aws_elasticache_user.this["features"].access_string, "+@write")
    error_message = "Ranking reads, features write."
  }

  assert {
    condition     = one(aws_elasticache_parameter_group.this.parameter).value == "noeviction"
    error_message = "A full Valkey refuses writes; it never drops a row."
  }

  assert {
    condition     = alltrue([for url in values(output.connection.urls) : startswith(url, "rediss://")])
    error_message = "The services are given an address with TLS."
  }
}

run "valkey_has_a_replica" {
  command = plan

  module {
    source = "./modules/valkey"
  }

  variables {
    replicas = 0
  }

  expect_failures = [var.replicas]
}
