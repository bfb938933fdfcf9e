# Secrets by reference: their values are in Secrets Manager and nowhere else, not in the state either.

resource "aws_secretsmanager_secret" "this" {
  for_each = setunion(var.generated, var.provided)

  name                    = "${var.name}/${each.value}"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}

ephemeral "aws_secretsmanager_random_password" "generated" {
  for_each = var.generated

  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "generated" {
  for_each = var.generated

  secret_id                = aws_secretsmanager_secret.this[each.value].id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.generated[each.value].random_password
  secret_string_wo_version = lookup(var.rotations, each.value, 1)
}
