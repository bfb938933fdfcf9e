# Secrets by reference: their values are in Secrets Manager and nowhere else. They are made empty; an operator fills them in.

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:A signing key changes together with the key that verifies, by an operator; see the README

  for_each = var.secrets

  name                    = "${var.name}/${each.value}"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}
