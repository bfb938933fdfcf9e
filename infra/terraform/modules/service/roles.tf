# Two roles: ECS's, which fetches the image and the secrets, and the service's own, which may do what it is given and no more.

data "aws_caller_identity" "here" {}

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.here.account_id } }
    }]
  })
  # A reference may go on with the name of a field: `<arn>:username::`.
  read_secrets = distinct([for reference in concat(values(var.secrets), values(var.secret_files)) : join(":", slice(split(":", reference), 0, 7))])
}

resource "aws_iam_role" "execution" {
  name               = "${local.full}-execution"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Login", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
        { Sid = "Pull", Effect = "Allow", Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource = var.repository_arns },
        { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.this.arn}:*"] },
      ],
      length(local.read_secrets) == 0 ? [] : [
        { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = local.read_secrets },
        { Sid = "Decrypt", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.kms_key_arn] },
      ],
    )
  })
}

resource "aws_iam_role" "task" {
  name               = local.full
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "task" {
  name = "work"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{ Sid = "Metrics", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.metrics.arn}:*"] }],
      [for statement in var.statements : { Sid = statement.sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources }],
    )
  })
}
