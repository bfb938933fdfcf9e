# A random password that is never stored here: it is made when Terraform runs, and goes into a write-only argument.
# Apart from the modules that take it, because Terraform's mock providers know no ephemeral resources.

ephemeral "aws_secretsmanager_random_password" "this" {
  password_length     = var.characters
  exclude_punctuation = true
}
