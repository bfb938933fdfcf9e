# The loop as a whole: who reads and writes what, who scales on what, what each is told.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name            = "freshet"
  image_tag       = "1"
  metrics_tag     = "1"
  certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/one"
  client_cidrs    = ["198.51.100.0/24"]
  operator_arns   = ["arn:aws:iam::123456789012:role/people"]
  network         = { vpc_id = "vpc-1", private_subnet_ids = ["subnet-a", "subnet-b", "subnet-c"], balancer_subnet_ids = ["subnet-d", "subnet-e"], engine_cidrs = ["10.60.0.0/16"] }
  kafka           = { bootstrap = "kafka.example:9098", auth = "iam", cluster_arn = "arn:aws:kafka:eu-central-1:123456789012:cluster/freshet/uuid" }
  tasks           = { ranking = {}, weekly = { publish_s = 7200, gpu = true, hosts = ["weekly.example"] } }

  valkey = {
    urls      = { features = "rediss://freshet-features@valkey.example:6379/0", ranking = "rediss://freshet-ranking@valkey.example:6379/0", updater = "rediss://freshet-updater@valkey.example:6379/0", jobs = "rediss://freshet-jobs@valkey.example:6379/0" }
    group_arn = "arn:aws:elasticache:eu-central-1:123456789012:replicationgroup:freshet"
    user_arns = { features = "arn:aws:elasticache:eu-central-1:123456789012:user:freshet-features", ranking = "arn:aws:elasticache:eu-central-1:123456789012:user:freshet-ranking" }
  }
}

run "the_loop" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  # --- scaling

  assert {
    condition     = local.services["collector"].scaling.cpu > 0 && local.services["collector"].scaling.requests == null && local.services["collector"].scaling.age_s == null
    error_message = "The collector scales on CPU."
  }

  assert {
    condition     = local.services["ranking-ranking"].scaling.requests > 0 && local.services["ranking-ranking"].scaling.p99_s > 0 && local.services["ranking-ranking"].scaling.cpu == null
    error_message = "Ranking scales on requests per target and p99 latency."
  }

  assert {
    condition     = alltrue([for name in ["features", "joiner-ranking", "joiner-weekly"] : local.services[name].scaling.age_s > 0 && local.services[name].scaling.cpu == null && local.services[name].scaling.max == var.partitions])
    error_message = "Features and joiner scale on the age of the last record read, up to the partitions."
  }

  assert {
    condition     = local.services["updater-ranking"].scaling.min == 1 && local.services["updater-ranking"].scaling.max == 1 && local.services["updater-ranking"].scaling.start_age_s == null
    error_message = "An updater that publishes all the time always runs."
  }

  assert {
    condition     = local.services["updater-weekly"].scaling.min == 0 && local.services["updater-weekly"].scaling.max == 1 && local.services["updater-weekly"].scaling.start_age_s == 7200 && local.services["updater-weekly"].scaling.start_signal_from == "joiner-weekly"
    error_message = "An updater that publishes every two hours is stopped in between."
  }

  assert {
    condition     = alltrue([for task in ["ranking", "weekly"] : module.service["updater-${task}"].deployment.maximum == 100 && module.service["updater-${task}"].deployment.minimum == 0])
    error_message = "Each task has one updater, and never two."
  }

  assert {
    condition     = alltrue([for name in ["collector", "features", "joiner-ranking", "ranking-ranking"] : module.service[name].deployment.minimum == 100 && local.services[name].scaling.min >= 2])
    error_message = "All others have two tasks or more, and a rollout takes none away."
  }

  # --- least privilege

  assert {
    condition = alltrue(flatten([for name in ["ranking-ranking", "ranking-weekly"] : [for s in local.statements[name] : [for action in s.actions :
    !startswith(action, "s3:") || contains(["s3:GetObject", "s3:ListBucket"], action)]]]))
    error_message = "Ranking can only read the bucket."
  }

  assert {
    condition = toset(flatten([for s in local.statements["ranking-ranking"] : s.resources if contains(s.actions, "s3:GetObject")])) == toset(
    [for key in ["blobs/*", "bundles/*", "latest.json", "pin.json"] : "arn:aws:s3:::shop/ranking/${key}"])
    error_message = "Ranking reads its task's bundles and pointers, and no checkpoint."
  }

  assert {
    condition = toset([for name, statements in local.statements : name if anytrue(flatten([for s in statements : [for r in s.resources :
    contains(s.actions, "s3:PutObject") && (endswith(r, "latest.json") || endswith(r, "ranking/*") || endswith(r, "weekly/*"))]]))]) == toset(["updater-ranking", "updater-weekly"])
    error_message = "Only updaters may move a pointer."
  }

  assert {
    condition = alltrue(flatten([for s in local.statements["updater-ranking"] : [for r in s.resources :
    !contains(s.actions, "s3:PutObject") || !strcontains(r, "weekly/")]]))
    error_message = "An updater writes its own task's bundles alone."
  }

  assert {
    condition = alltrue(flatten([for statements in values(local.statements) : [for s in statements : [for r in s.resources :
    !(contains(s.actions, "s3:PutObject") || contains(s.actions, "s3:DeleteObject")) || !(endswith(r, "pin.json") || endswith(r, "shop/*") || endswith(r, "ranking/*"))]]]))
    error_message = "No service may pin."
  }

  assert {
    condition     = alltrue(flatten([for statements in values(local.statements) : [for s in statements : [for a in s.actions : !(startswith(a, "s3:DeleteObjectVersion") || a == "s3:*")]]]))
    error_message = "No service deletes for good: it marks, and lifecycle deletes what is marked."
  }

  assert {
    condition = toset([for name, statements in local.statements : name if anytrue(flatten([for s in statements : [for r in s.resources :
    contains(s.actions, "s3:PutObject") && (strcontains(r, "/history/") || endswith(r, "shop/*"))]]))]) == toset(["features"])
    error_message = "Only features write the history."
  }

  assert {
    condition     = alltrue([for name in ["collector", "joiner-ranking", "jobs"] : alltrue([for s in local.statements[name] : alltrue([for a in s.actions : !startswith(a, "s3:")])])])
    error_message = "Who has nothing in the bucket may not look into it."
  }

  assert {
    condition = toset(flatten([for s in local.statements["joiner-ranking"] : s.resources if s.sid == "WriteTopics"])) == toset(
    [for topic in ["examples.ranking", "clock", "dead-letters"] : "arn:aws:kafka:eu-central-1:123456789012:topic/freshet/uuid/${topic}"])
    error_message = "A role writes its own topics."
  }

  assert {
    condition     = alltrue([for topic in ["examples.weekly", "windows.weekly"] : contains(flatten([for s in local.statements["joiner-weekly"] : s.resources if s.sid == "ReadTopics"]), "arn:aws:kafka:eu-central-1:123456789012:topic/freshet/uuid/${topic}")])
    error_message = "The joiner sees which examples of its task nobody has learned yet."
  }

  assert {
    condition = toset([for name, statements in local.statements : name if anytrue(flatten([for s in statements : [for r in s.resources :
    s.sid == "WriteTopics" && endswith(r, "/bundles")]]))]) == toset(["updater-ranking", "updater-weekly"])
    error_message = "Only updaters announce bundles."
  }

  assert {
    condition     = flatten([for s in local.statements["joiner-weekly"] : s.resources if s.sid == "Group"]) == ["arn:aws:kafka:eu-central-1:123456789012:group/freshet/uuid/joiner-weekly"]
    error_message = "A role joins its own consumer group."
  }

  assert {
    condition     = anytrue([for s in local.statements["ranking-ranking"] : s.sid == "Valkey" && contains(s.resources, "arn:aws:elasticache:eu-central-1:123456789012:user:freshet-ranking") && !contains(s.resources, "arn:aws:elasticache:eu-central-1:123456789012:user:freshet-features")])
    error_message = "A role is one user of Valkey."
  }

  # --- what each is told

  assert {
    condition     = output.environments["jobs"]["FRESHET_FEATURES_HISTORY"] == output.environments["features"]["FRESHET_FEATURES_HISTORY"]
    error_message = "Feast looks for the history where it is written."
  }

  assert {
    condition     = alltrue([for environment in values(output.environments) : environment["FRESHET_KAFKA"] == "kafka.example:9098" && environment["FRESHET_KAFKA_AUTH"] == "iam" && environment["FRESHET_KAFKA_TLS"] == "true" && environment["FRESHET_S3"] == "" && environment["FRESHET_HOST"] == "0.0.0.0" && environment["FRESHET_REPLICAS"] == "3"])
    error_message = "Every service is told where Kafka and S3 are."
  }

  assert {
    condition     = output.environments["ranking-ranking"]["FRESHET_REDIS"] == "rediss://freshet-ranking@valkey.example:6379/0" && output.environments["updater-weekly"]["FRESHET_TASK"] == "weekly" && output.environments["updater-weekly"]["FRESHET_PUBLISH_S"] == "7200"
    error_message = "Each is told its own user and its own task."
  }

  assert {
    condition     = output.environments["ranking-ranking"]["FRESHET_REDIS_CLUSTER"] == "freshet" && !contains(keys(output.environments["collector"]), "FRESHET_REDIS_CLUSTER")
    error_message = "Who reads Valkey as a role is told the cluster that its token is for."
  }

  assert {
    condition     = alltrue(flatten([for environment in values(output.environments) : [for name in keys(environment) : !endswith(name, "_INSTANCE")]]))
    error_message = "Members of a group are named by their container's hostname."
  }

  assert {
    condition     = alltrue([for kind, files in local.secret_files : join(" ", keys(files)) == { updater = "/run/freshet/signing.pem", ranking = "/run/freshet/verify.pem" }[kind] if length(files) > 0]) && length(local.secret_files["collector"]) == 0
    error_message = "Only the updater has the key that signs; ranking has the one that verifies."
  }

  assert {
    condition     = keys(local.doors) == ["collector", "ranking-ranking", "ranking-weekly"]
    error_message = "The load balancer leads to collector and ranking alone."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.balancer["collector"].from_port == 18080 && length(aws_vpc_security_group_ingress_rule.metrics) == 0
    error_message = "Services take requests from the load balancer alone."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.outward) == 0 && aws_vpc_security_group_egress_rule.aws.from_port == 443 && toset([for rule in aws_vpc_security_group_egress_rule.engines : rule.cidr_ipv4]) == toset(var.network.engine_cidrs)
    error_message = "Services call AWS and their engines, and nobody else."
  }

  assert {
    condition     = alltrue([for name, service in module.service : (service.service_name == null) == (name == "jobs")])
    error_message = "All services run; what is run by hand does not."
  }
}

run "before_the_first_start" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    running = false
    tasks   = { ranking = { gpu = true }, weekly = { publish_s = 7200, hosts = ["weekly.example"] } }
  }

  assert {
    condition     = length(module.service) == 9 && alltrue([for service in module.service : service.service_name == null])
    error_message = "Until images, secrets and topics are there, every service is a task to be run by hand and nothing else."
  }

  assert {
    condition     = module.cluster.machines.min == 0 && module.cluster.machines.max == 1
    error_message = "A machine with a GPU comes with the task that needs one, such as the import of history."
  }

  assert {
    condition     = length(module.alarms.names) == 6 && alltrue([for name in module.alarms.names : endswith(name, "-errors") || endswith(name, "-unhealthy")])
    error_message = "Nobody is woken for services that do not run."
  }
}

run "a_way_out" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    outward = { 4318 = ["10.9.0.0/16", "10.8.0.0/16"], 5000 = ["10.9.0.0/16"] }
  }

  assert {
    condition     = { for key, rule in aws_vpc_security_group_egress_rule.outward : key => "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}" } == { "10.8.0.0/16:4318" = "10.8.0.0/16 4318-4318", "10.9.0.0/16:4318" = "10.9.0.0/16 4318-4318", "10.9.0.0/16:5000" = "10.9.0.0/16 5000-5000" }
    error_message = "Services call the ports that they are let out to, where these are answered."
  }
}

run "a_way_out_is_a_port_and_addresses" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    outward = { otlp = ["10.9.0.0/16"] }
  }

  expect_failures = [var.outward]
}

run "an_hour_is_seldom_enough" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    tasks = { often = { publish_s = 3599, gpu = true }, hourly = { publish_s = 3600, gpu = true, hosts = ["hourly.example"] } }
  }

  assert {
    condition     = local.services["updater-often"].scaling.min == 1 && local.services["updater-often"].scaling.start_age_s == null
    error_message = "A task that publishes more often than hourly keeps its updater."
  }

  assert {
    condition     = local.services["updater-hourly"].scaling.min == 0 && local.services["updater-hourly"].scaling.start_age_s == 3600
    error_message = "A task that publishes hourly has its updater stopped in between."
  }

  assert {
    condition     = module.cluster.machines.min == 1 && module.cluster.machines.max == 2
    error_message = "The first keeps its GPU, the other's goes."
  }
}

run "a_valkey_with_a_password" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    valkey = { secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:valkey" }
  }

  assert {
    condition     = alltrue([for environment in values(output.environments) : !contains(keys(environment), "FRESHET_REDIS")]) && local.secrets["ranking"]["FRESHET_REDIS"] == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:valkey" && !contains(keys(local.secrets["collector"]), "FRESHET_REDIS")
    error_message = "An address with a password is a secret, for those who read Valkey."
  }
}

run "a_kafka_with_passwords" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    kafka = { bootstrap = "kafka.example:9096", auth = "scram", secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:kafka" }
  }

  assert {
    condition     = alltrue([for environment in values(output.environments) : environment["FRESHET_KAFKA_AUTH"] == "scram" && environment["FRESHET_KAFKA_TLS"] == "true" && !contains(keys(environment), "FRESHET_KAFKA_PASSWORD")])
    error_message = "A login by SCRAM goes over TLS, and its password is in no environment."
  }

  assert {
    condition     = alltrue([for secrets in values(local.secrets) : secrets["FRESHET_KAFKA_USER"] == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:kafka:username::" && secrets["FRESHET_KAFKA_PASSWORD"] == "arn:aws:secretsmanager:eu-central-1:123456789012:secret:kafka:password::"])
    error_message = "User and password are fields of one secret."
  }
}

run "doors_ask_for_keys" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  assert {
    condition     = toset([for kind, secrets in local.secrets : kind if anytrue([for name in keys(secrets) : endswith(name, "_KEYS")])]) == toset(["collector", "ranking"])
    error_message = "Collector and ranking are given the keys of their callers, nobody else is."
  }
}

run "a_password_is_not_in_an_address" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    valkey = { urls = { ranking = format("rediss://user:%s@host", "one") } }
  }

  expect_failures = [var.valkey]
}

run "iam_names_the_cluster" {
  command = plan

  module {
    source = "./modules/freshet"
  }

  variables {
    kafka = { bootstrap = "kafka.example:9098", auth = "iam" }
  }

  expect_failures = [var.kafka]
}

run "a_setting_that_nobody_reads" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    kind          = "collector"
    kafka         = "kafka.example:9098"
    kafka_auth    = "iam"
    kafka_tls     = true
    replicas      = 3
    redis         = null
    redis_cluster = null
    bucket        = "shop"
    region        = "eu-central-1"
    project       = "shop"
    task          = "ranking"
    publish_s     = 1
    port          = 18080
    memory        = 1024
    partitions    = 16
    overrides     = { FRESHET_NO_SUCH = "1" }
  }

  expect_failures = [output.environment]
}

run "alarms" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    kms_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/one"
    emails          = ["on-call@shop.example"]
    cluster_name    = "freshet"
    balancer        = "app/freshet/1"
    targets         = { collector = "targetgroup/one/3" }
    valkey_node_ids = ["freshet-001"]

    services = {
      collector       = { min = 2, dead_letters = true }
      joiner-ranking  = { min = 2, behind_s = 60, dead_letters = true }
      updater-ranking = { min = 1, publishes_minutes = 15 }
      updater-weekly  = { min = 0, publishes_minutes = 240, waits_s = 14400, waits_from = "joiner-weekly" }
    }
  }

  assert {
    condition = alltrue([for name in ["collector-tasks", "joiner-ranking-behind", "updater-ranking-gate", "updater-ranking-publishes", "collector-dead-letters", "collector-errors", "collector-unhealthy", "freshet-001-memory"] :
    contains(keys(aws_cloudwatch_metric_alarm.this), name)])
    error_message = "Freshness, the gate, dead letters, doors, tasks and Valkey are watched."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["joiner-ranking-behind"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["updater-ranking-publishes"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["updater-weekly-publishes"].treat_missing_data == "missing"
    error_message = "Where data must flow its absence is an alarm; a stopped updater says nothing."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["updater-weekly-waits"].metric_name == "freshet_oldest_unlearned_seconds" && aws_cloudwatch_metric_alarm.this["updater-weekly-waits"].dimensions["service"] == "joiner-weekly" && aws_cloudwatch_metric_alarm.this["updater-weekly-waits"].threshold == 14400 && aws_cloudwatch_metric_alarm.this["updater-weekly-waits"].treat_missing_data == "breaching"
    error_message = "Somebody hears of examples that nobody learns, and of a start signal that is missing."
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "updater-weekly-tasks")
    error_message = "An updater that may be stopped is not missed."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : length(alarm.alarm_actions) == 1 && alarm.alarm_description != ""])
    error_message = "Each alarm tells somebody what it means."
  }
}

run "dashboard" {
  command = plan

  module {
    source = "./modules/dashboards"
  }

  variables {
    cluster_name = "freshet"
    balancer     = "app/freshet/1"
    targets      = { collector = "targetgroup/one/3" }
    services     = ["collector", "updater-ranking"]
    readers      = ["features"]
    learners     = ["updater-ranking"]
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 8 && strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "freshet_last_record_age_seconds")
    error_message = "The page shows what scaling and alarms look at."
  }
}
