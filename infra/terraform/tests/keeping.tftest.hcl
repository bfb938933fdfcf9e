# Storage, images, keys and secrets.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "freshet"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/one"
}

run "storage" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    bucket          = "shop"
    tasks           = ["ranking", "ads"]
    pointer_writers = { ranking = "arn:aws:iam::123456789012:role/updater-ranking", ads = "arn:aws:iam::123456789012:role/updater-ads" }
    pin_writer      = "arn:aws:iam::123456789012:role/operator"
  }

  assert {
    condition     = aws_s3_bucket_versioning.data.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket is versioned."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.data.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "The bucket is encrypted under our key."
  }

  assert {
    condition = alltrue([for block in [aws_s3_bucket_public_access_block.data, aws_s3_bucket_public_access_block.logs] :
    block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "Public access is blocked."
  }

  assert {
    condition     = alltrue(flatten([for rule in aws_s3_bucket_lifecycle_configuration.data.rule : [for it in rule.expiration : it.expired_object_delete_marker]]))
    error_message = "Lifecycle deletes nothing that is current: the updater alone knows what is named."
  }

  assert {
    condition     = anytrue([for rule in aws_s3_bucket_lifecycle_configuration.data.rule : rule.id == "noncurrent" && rule.status == "Enabled" && one(rule.noncurrent_version_expiration).noncurrent_days == 7])
    error_message = "Lifecycle deletes what was marked as deleted a week ago."
  }

  assert {
    condition     = anytrue(flatten([for rule in aws_s3_bucket_lifecycle_configuration.data.rule : [for it in rule.expiration : it.expired_object_delete_marker]]))
    error_message = "Of what was deleted nothing stays for ever, not even the mark that it was."
  }

  assert {
    condition     = anytrue([for s in jsondecode(aws_s3_bucket_policy.data.policy).Statement : s.Effect == "Deny" && try(s.Condition.Bool["aws:SecureTransport"], "") == "false"])
    error_message = "The bucket answers over TLS alone."
  }

  assert {
    condition = alltrue([for task in ["ranking", "ads"] : anytrue([for s in jsondecode(aws_s3_bucket_policy.data.policy).Statement :
      s.Sid != "TLS" && s.Effect == "Deny" && s.Resource == "arn:aws:s3:::shop/${task}/latest.json" && length(setsubtract(["s3:PutObject", "s3:DeleteObject"], flatten([s.Action]))) == 0 &&
    try(s.Condition.ArnNotEquals["aws:PrincipalArn"], "") == "arn:aws:iam::123456789012:role/updater-${task}"])])
    error_message = "Only a task's updater moves its pointer, whatever other roles are allowed."
  }

  assert {
    condition = anytrue([for s in jsondecode(aws_s3_bucket_policy.data.policy).Statement :
      s.Sid != "TLS" && s.Effect == "Deny" && s.Resource == "arn:aws:s3:::shop/*/pin.json" && length(setsubtract(["s3:PutObject", "s3:DeleteObject"], flatten([s.Action]))) == 0 &&
    try(s.Condition.ArnNotEquals["aws:PrincipalArn"], "") == "arn:aws:iam::123456789012:role/operator"])
    error_message = "Only the operator pins and unpins."
  }
}

run "each_task_has_one_writer" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    bucket          = "shop"
    tasks           = ["ranking", "ads"]
    pointer_writers = { ranking = "arn:aws:iam::123456789012:role/updater-ranking" }
    pin_writer      = "arn:aws:iam::123456789012:role/operator"
  }

  expect_failures = [var.pointer_writers]
}

run "registry" {
  command = plan

  module {
    source = "./modules/registry"
  }

  variables {
    images = ["collector", "ranking"]
  }

  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_tag_mutability == "IMMUTABLE" && r.image_scanning_configuration[0].scan_on_push && one(r.encryption_configuration).encryption_type == "KMS"])
    error_message = "Each image has its own repository: tags never move, images are scanned and encrypted."
  }

  assert {
    condition     = length(aws_ecr_repository.this) == 2 && length(aws_ecr_lifecycle_policy.this) == 2
    error_message = "Old images go."
  }
}

run "secrets" {
  command = plan

  module {
    source = "./modules/secrets"
  }

  variables {
    secrets = ["signing-key", "verify-key"]
  }

  assert {
    condition     = alltrue([for s in aws_secretsmanager_secret.this : s.kms_key_id == var.kms_key_arn]) && keys(output.arns) == ["signing-key", "verify-key"]
    error_message = "Secrets are made without a value, encrypted under our key."
  }
}

run "key" {
  command = plan

  module {
    source = "./modules/key"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key is rotated."
  }
}

run "operator" {
  command = plan

  module {
    source = "./modules/operator"
  }

  variables {
    people_arns = ["arn:aws:iam::123456789012:role/people"]
    bucket_arn  = "arn:aws:s3:::shop"
    tasks       = ["ranking"]
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.Bool["aws:MultiFactorAuthPresent"] == "true"
    error_message = "The operator's role is taken with a second factor."
  }

  assert {
    condition = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement :
    !contains(s.Action, "s3:PutObject") || toset(s.Resource) == toset(["arn:aws:s3:::shop/ranking/${s.Sid == "Pause" ? "learning" : "pin"}.json"])])
    error_message = "The operator writes the pin, the order to learn or to pause, and nothing else in the bucket."
  }

  assert {
    condition = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : alltrue([for action in s.Action :
    !startswith(action, "s3:DeleteObjectVersion") && !strcontains(action, "*") && (action != "s3:DeleteObject" || s.Sid == "Pin")])])
    error_message = "The operator deletes nothing for good: its unpinning leaves a version behind as well."
  }
}

run "nobody_but_people_of_ours" {
  command = plan

  module {
    source = "./modules/operator"
  }

  variables {
    people_arns = ["*"]
    bucket_arn  = "arn:aws:s3:::shop"
    tasks       = ["ranking"]
  }

  expect_failures = [var.people_arns]
}
