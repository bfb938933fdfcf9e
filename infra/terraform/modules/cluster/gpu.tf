# ECS starts a machine when an updater waits for one, and stops it when the last updater is gone.

data "aws_partition" "here" {}

data "aws_ssm_parameter" "gpu_image" {
  count = local.gpu ? 1 : 0

  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
}

locals {
  gpu = var.gpu != null
}

resource "aws_iam_role" "machine" {
  count = local.gpu ? 1 : 0

  name_prefix = "${var.name}-gpu-"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "machine" {
  count = local.gpu ? 1 : 0

  role       = aws_iam_role.machine[0].name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_instance_profile" "machine" {
  count = local.gpu ? 1 : 0

  name_prefix = "${var.name}-gpu-"
  role        = aws_iam_role.machine[0].name
}

resource "aws_security_group" "machine" {
  count = local.gpu ? 1 : 0

  name_prefix = "${var.name}-gpu-"
  description = "GPU machines of ${var.name}: nothing in; tasks have their own"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "machine" {
  count = local.gpu ? 1 : 0

  security_group_id = aws_security_group.machine[0].id
  description       = "ECS, images and logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_launch_template" "gpu" {
  count = local.gpu ? 1 : 0

  name_prefix            = "${var.name}-gpu-"
  image_id               = data.aws_ssm_parameter.gpu_image[0].value
  instance_type          = var.gpu.instance_type
  vpc_security_group_ids = [aws_security_group.machine[0].id]
  update_default_version = true

  user_data = base64encode(join("\n", [
    "#!/bin/sh",
    "echo ECS_CLUSTER=${aws_ecs_cluster.this.name} >> /etc/ecs/ecs.config",
    "echo ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config",
    "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config", # a task has its own role and not the machine's
    "",
  ]))

  iam_instance_profile {
    arn = aws_iam_instance_profile.machine[0].arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = var.gpu.disk_gib
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-gpu" }
  }
}

resource "aws_autoscaling_group" "gpu" {
  count = local.gpu ? 1 : 0

  name_prefix           = "${var.name}-gpu-"
  vpc_zone_identifier   = var.subnet_ids
  min_size              = var.gpu.min
  max_size              = var.gpu.max
  protect_from_scale_in = true # ECS ends a machine once no task is on it

  launch_template {
    id      = aws_launch_template.gpu[0].id
    version = aws_launch_template.gpu[0].latest_version
  }

  tag {
    key                 = "AmazonECSManaged"
    value               = "true"
    propagate_at_launch = true
  }

  lifecycle {
    ignore_changes = [desired_capacity] # the capacity provider's
  }
}

resource "aws_ecs_capacity_provider" "gpu" {
  count = local.gpu ? 1 : 0

  name = "${var.name}-gpu"

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.gpu[0].arn
    managed_termination_protection = "ENABLED"
    managed_draining               = "ENABLED"

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = 100
      minimum_scaling_step_size = 1
      maximum_scaling_step_size = 1
    }
  }
}
