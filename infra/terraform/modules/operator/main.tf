# The role that people take to operate the loop: the only one that may pin a bundle.

resource "aws_iam_role" "this" {
  name                 = "${var.name}-operator"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = var.people_arns }
      Action    = "sts:AssumeRole"
      Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "operate"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Look", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.bucket_arn] },
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [for task in var.tasks : "${var.bucket_arn}/${task}/*"] },
        { Sid = "Pin", Effect = "Allow", Action = ["s3:PutObject", "s3:DeleteObject"], Resource = [for task in var.tasks : "${var.bucket_arn}/${task}/pin.json"] },
        { Sid = "Pause", Effect = "Allow", Action = ["s3:PutObject"], Resource = [for task in var.tasks : "${var.bucket_arn}/${task}/learning.json"] },
        { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.kms_key_arn] },
      ],
      [for statement in var.statements : { Sid = statement.sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources }],
    )
  })
}
