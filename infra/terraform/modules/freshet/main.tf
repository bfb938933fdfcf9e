# The loop on AWS: five services around a Kafka, a Valkey and a network that are given. examples/complete makes those too.

data "aws_caller_identity" "here" {}
data "aws_region" "here" {}

module "key" {
  source = "../key"

  name = var.name
}

resource "aws_security_group" "services" {
  #checkov:skip=CKV2_AWS_5:The tasks of the module service have it; the check does not look through modules

  name_prefix = "${var.name}-services-"
  description = "The services of ${var.name}"
  vpc_id      = var.network.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = local.doors

  security_group_id            = aws_security_group.services.id
  description                  = "Requests to ${each.key}"
  referenced_security_group_id = module.load_balancer.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = toset(var.metrics_cidrs)

  security_group_id = aws_security_group.services.id
  description       = "Prometheus from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 18080
  to_port           = 18084
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.services.id
  description       = "S3, images, secrets and logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "engines" {
  for_each = { for rule in setproduct(var.network.engine_cidrs, var.network.engine_ports) : "${rule[0]}:${rule[1]}" => rule }

  security_group_id = aws_security_group.services.id
  description       = "Kafka and Valkey"
  cidr_ipv4         = each.value[0]
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
}

resource "aws_vpc_security_group_egress_rule" "outward" {
  for_each = { for rule in flatten([for port, cidrs in var.outward : [for cidr in cidrs : { port = port, cidr = cidr }]]) : "${rule.cidr}:${rule.port}" => rule }

  security_group_id = aws_security_group.services.id
  description       = "Traces, MLflow, or what else is yours"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value.port)
  to_port           = tonumber(each.value.port)
}

module "storage" {
  source = "../storage"

  bucket          = coalesce(var.bucket, "${var.name}-${data.aws_caller_identity.here.account_id}")
  kms_key_arn     = module.key.arn
  tasks           = keys(var.tasks)
  pointer_writers = { for task in keys(var.tasks) : task => module.service["updater-${task}"].task_role_arn }
  pin_writer      = module.operator.role_arn
  force_destroy   = var.throwaway
}

module "registry" {
  source = "../registry"

  name         = var.name
  images       = ["collector", "features", "joiner", "ranking", "updater", "operator", "metrics"]
  kms_key_arn  = module.key.arn
  force_delete = var.throwaway
}

module "secrets" {
  source = "../secrets"

  name          = var.name
  secrets       = concat(["signing-key", "verify-key"], var.api_keys ? ["collector-keys", "ranking-keys"] : [])
  kms_key_arn   = module.key.arn
  recovery_days = var.throwaway ? 0 : 30
}

module "cluster" {
  source = "../cluster"

  name       = var.name
  vpc_id     = var.network.vpc_id
  subnet_ids = var.network.private_subnet_ids

  gpu = local.gpu_tasks == 0 ? null : {
    instance_type = var.gpu_instance_type
    min           = var.running ? length([for task in var.tasks : task if task.gpu && task.publish_s < 3600]) : 0 # these never stop
    max           = local.gpu_tasks
  }
}

module "load_balancer" {
  source = "../load_balancer"

  name                     = var.name
  vpc_id                   = var.network.vpc_id
  subnet_ids               = var.network.balancer_subnet_ids
  internal                 = var.internal
  client_cidrs             = var.client_cidrs
  certificate_arn          = var.certificate_arn
  targets                  = { for name, service in local.doors : name => { port = service.port, paths = service.paths, hosts = service.hosts } }
  target_security_group_id = aws_security_group.services.id
  logs_bucket              = module.storage.logs_bucket
  deletion_protection      = !var.throwaway
}

module "operator" {
  source = "../operator"

  name        = var.name
  people_arns = var.operator_arns
  bucket_arn  = module.storage.arn
  tasks       = keys(var.tasks)
  kms_key_arn = module.key.arn
  statements  = local.operator_statements
}

module "settings" {
  source   = "../settings"
  for_each = local.services

  kind          = each.value.kind
  kafka         = var.kafka.bootstrap
  kafka_auth    = var.kafka.auth
  kafka_tls     = coalesce(var.kafka.tls, var.kafka.auth != "none")
  partitions    = var.partitions
  replicas      = var.kafka.replicas
  redis         = try(var.valkey.urls[each.value.kind], null)
  redis_cluster = contains(keys(var.valkey.urls), each.value.kind) ? local.valkey_cluster : null
  bucket        = module.storage.bucket
  region        = data.aws_region.here.name
  project       = var.project
  task          = each.value.task
  publish_s     = var.tasks[each.value.task].publish_s
  port          = each.value.port
  memory        = each.value.memory
  overrides     = lookup(var.settings, each.key, {})
}

module "service" {
  source   = "../service"
  for_each = local.services

  name               = var.name
  service            = each.key
  kms_key_arn        = module.key.arn
  image              = "${module.registry.urls[each.value.image]}:${var.image_tag}"
  repository_arns    = [module.registry.arns[each.value.image], module.registry.arns["metrics"]]
  subnet_ids         = var.network.private_subnet_ids
  security_group_ids = [aws_security_group.services.id]
  port               = each.value.port
  cpu                = each.value.cpu
  memory             = each.value.memory
  gpus               = each.value.gpus
  disk_gib           = each.value.disk_gib
  environment        = module.settings[each.key].environment
  secrets            = local.secrets[each.value.kind]
  secret_files       = local.secret_files[each.value.kind]
  statements         = local.statements[each.key]
  partitions         = each.value.shares ? var.partitions : null
  singleton          = each.value.kind == "updater"
  scaling            = each.value.scaling

  cluster = {
    arn          = module.cluster.arn
    name         = module.cluster.cluster_name
    namespace_id = module.cluster.namespace_id
    fargate      = module.cluster.fargate
    gpu          = module.cluster.gpu
  }

  target = !contains(keys(local.doors), each.key) ? null : merge(
    module.load_balancer.targets[each.key], { balancer = module.load_balancer.arn_suffix }
  )

  metrics = {
    image = "${module.registry.urls["metrics"]}:${var.metrics_tag}"
    names = ["freshet_last_record_age_seconds", "freshet_oldest_unlearned_seconds", "freshet_dead_letters_total", "updater_gate_open", "updater_bundles_total"]
  }
}

module "alarms" {
  source = "../alarms"

  name            = var.name
  kms_key_arn     = module.key.arn
  emails          = var.alarm_emails
  cluster_name    = module.cluster.cluster_name
  balancer        = module.load_balancer.arn_suffix
  targets         = { for name in keys(local.doors) : name => module.load_balancer.targets[name].arn_suffix }
  valkey_node_ids = var.valkey.node_ids

  services = {
    for name, service in local.services : name => {
      min               = service.scaling.min
      behind_s          = service.scaling.age_s == null ? null : 6 * service.scaling.age_s
      publishes_minutes = service.kind != "updater" ? null : max(15, ceil(2 * var.tasks[service.task].publish_s / 60))
      waits_s           = service.kind != "updater" ? null : max(900, 2 * var.tasks[service.task].publish_s)
      waits_from        = service.kind != "updater" ? null : "joiner-${service.task}"
      dead_letters      = contains(service.writes, "dead-letters")
    } if service.kind != "jobs" && var.running
  }
}

module "dashboards" {
  source = "../dashboards"

  name         = var.name
  cluster_name = module.cluster.cluster_name
  balancer     = module.load_balancer.arn_suffix
  targets      = { for name in keys(local.doors) : name => module.load_balancer.targets[name].arn_suffix }
  services     = [for name, service in local.services : name if service.kind != "jobs"]
  readers      = [for name, service in local.services : name if service.shares]
  learners     = [for name, service in local.services : name if service.kind == "updater"]
}
