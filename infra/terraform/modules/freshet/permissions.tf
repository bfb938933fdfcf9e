# What each service's role may do: its own topics, its own keys in the bucket, its own user in Valkey.

locals {
  iam     = var.kafka.auth == "iam"
  cluster = split(":cluster/", coalesce(var.kafka.cluster_arn, "none:cluster/none"))
  # arn:…:topic/<cluster>/<uuid>/<topic>
  topic_arn = "${local.cluster[0]}:topic/${local.cluster[1]}"
  group_arn = "${local.cluster[0]}:group/${local.cluster[1]}"
  # arn:…:replicationgroup:<cluster>; null where no user is a role
  valkey_cluster = try(split(":", var.valkey.group_arn)[6], null)

  kafka_statements = {
    for name, service in local.services : name => !local.iam ? [] : concat(
      [{
        sid       = "Connect"
        actions   = concat(["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"], length(service.writes) > 0 ? ["kafka-cluster:WriteDataIdempotently"] : [])
        resources = [var.kafka.cluster_arn]
      }],
      length(service.reads) == 0 ? [] : [{
        sid       = "ReadTopics"
        actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration", "kafka-cluster:ReadData"]
        resources = [for topic in service.reads : "${local.topic_arn}/${topic}"]
      }],
      length(service.writes) == 0 ? [] : [{
        sid       = "WriteTopics"
        actions   = ["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration", "kafka-cluster:WriteData"]
        resources = [for topic in service.writes : "${local.topic_arn}/${topic}"]
      }],
      !service.shares ? [] : [{
        sid       = "Group"
        actions   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]
        resources = ["${local.group_arn}/${service.group}"]
      }],
      service.kind != "jobs" ? [] : [{
        sid       = "MakeTopics"
        actions   = ["kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration"]
        resources = ["${local.topic_arn}/*"]
      }],
    )
  }

  bucket_statements = {
    # A missing object is "not found" only to who may list; else it is "forbidden", and a service takes that for an outage.
    ranking = { for task in keys(var.tasks) : task => [
      { sid = "Look", actions = ["s3:ListBucket"], resources = [module.storage.arn] },
      { sid = "ReadBundles", actions = ["s3:GetObject"], resources = [for key in ["blobs/*", "bundles/*", "latest.json", "pin.json"] : "${module.storage.arn}/${task}/${key}"] },
      { sid = "Decrypt", actions = ["kms:Decrypt"], resources = [module.key.arn] },
    ] }

    updater = { for task in keys(var.tasks) : task => [
      { sid = "Look", actions = ["s3:ListBucket"], resources = [module.storage.arn] },
      { sid = "Read", actions = ["s3:GetObject"], resources = ["${module.storage.arn}/${task}/*", "${module.storage.arn}/texts/*"] },
      { sid = "Publish", actions = ["s3:PutObject"], resources = [for key in ["${task}/blobs/*", "${task}/bundles/*", "${task}/checkpoints/*", "${task}/latest.json", "${task}/breaker.json", "texts/*"] : "${module.storage.arn}/${key}"] },
      { sid = "Expire", actions = ["s3:DeleteObject"], resources = [for key in ["blobs/*", "bundles/*", "checkpoints/*"] : "${module.storage.arn}/${task}/${key}"] },
      { sid = "Key", actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [module.key.arn] },
    ] }

    features = { for task in keys(var.tasks) : task => [
      { sid = "History", actions = ["s3:PutObject"], resources = ["${module.storage.arn}/history/*"] },
      { sid = "Key", actions = ["kms:GenerateDataKey"], resources = [module.key.arn] },
    ] }
  }

  valkey_statements = {
    for kind in keys(local.kinds) : kind => contains(keys(var.valkey.user_arns), kind) ? [
      { sid = "Valkey", actions = ["elasticache:Connect"], resources = [var.valkey.group_arn, var.valkey.user_arns[kind]] },
    ] : []
  }

  statements = {
    for name, service in local.services : name => concat(
      local.kafka_statements[name],
      try(local.bucket_statements[service.kind][service.task], []),
      local.valkey_statements[service.kind],
    )
  }

  # What `freshet bundles`, `windows`, `dead-letters` and `lag` read, and the plans that `restore` writes.
  operator_statements = !local.iam ? [] : [
    { sid = "Connect", actions = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"], resources = [var.kafka.cluster_arn] },
    { sid = "ReadTopics", actions = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", "kafka-cluster:DescribeGroup"], resources = ["${local.topic_arn}/*", "${local.group_arn}/*"] },
    { sid = "Restore", actions = ["kafka-cluster:WriteData"], resources = [for task in keys(var.tasks) : "${local.topic_arn}/windows.${task}"] },
  ]

  reads_valkey = ["features", "ranking", "updater", "jobs"]

  secrets = {
    for kind in keys(local.kinds) : kind => merge(
      var.valkey.secret_arn != null && contains(local.reads_valkey, kind) ? { FRESHET_REDIS = var.valkey.secret_arn } : {},
      var.kafka.auth != "scram" ? {} : {
        FRESHET_KAFKA_USER     = "${var.kafka.secret_arn}:username::"
        FRESHET_KAFKA_PASSWORD = "${var.kafka.secret_arn}:password::"
      },
      !var.api_keys || !contains(["collector", "ranking"], kind) ? {} : { "FRESHET_${upper(kind)}_KEYS" = module.secrets.arns["${kind}-keys"] },
    )
  }

  secret_files = {
    for kind in keys(local.kinds) : kind => merge(
      kind == "updater" ? { "/run/freshet/signing.pem" = module.secrets.arns["signing-key"] } : {},
      kind == "ranking" ? { "/run/freshet/verify.pem" = module.secrets.arns["verify-key"] } : {},
    )
  }
}
