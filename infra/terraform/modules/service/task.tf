# The task. `prepare` runs first: folders that may be written, and secrets that are read as files. `service` has a read-only root.
# `metrics` hands what scaling and alarms ask for to CloudWatch.

data "aws_region" "here" {}

locals {
  folders = { tmp = "/tmp", state = "/var/lib/freshet", secrets = "/run/freshet" }
  mounts  = [for name, path in local.folders : { sourceVolume = name, containerPath = path, readOnly = false }]

  logs = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = data.aws_region.here.name
      awslogs-stream-prefix = "task"
      mode                  = "non-blocking" # a log that is slow holds nobody up
      max-buffer-size       = "8m"
    }
  }

  alone = { initProcessEnabled = true, capabilities = { add = [], drop = ["ALL"] } }

  prepare = {
    name      = "prepare"
    image     = var.image
    essential = false
    user      = "0" # a new volume is root's; the service is not
    entryPoint = ["python", "-c", join("\n", [
      "import json, os, pathlib",
      "for folder in json.loads(os.environ['FOLDERS']): os.chmod(folder, 0o1777)",
      "for name, path in json.loads(os.environ['FILES']).items(): pathlib.Path(path).write_text(os.environ[name])",
    ])]
    environment = [
      { name = "FILES", value = jsonencode({ for path in sort(keys(var.secret_files)) : upper(replace(basename(path), "/[^A-Za-z0-9]/", "_")) => path }) },
      { name = "FOLDERS", value = jsonencode(values(local.folders)) },
    ]
    secrets                = [for path in sort(keys(var.secret_files)) : { name = upper(replace(basename(path), "/[^A-Za-z0-9]/", "_")), valueFrom = var.secret_files[path] }]
    mountPoints            = local.mounts
    readonlyRootFilesystem = true
    linuxParameters        = local.alone
    logConfiguration       = local.logs
    portMappings           = []
    volumesFrom            = []
    systemControls         = []
  }

  service = merge(
    {
      name                   = "service"
      image                  = var.image
      essential              = true
      environment            = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
      secrets                = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]
      portMappings           = [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
      mountPoints            = [for mount in local.mounts : merge(mount, { readOnly = mount.sourceVolume == "secrets" })]
      dependsOn              = [{ containerName = "prepare", condition = "SUCCESS" }]
      readonlyRootFilesystem = true
      linuxParameters        = local.alone
      logConfiguration       = local.logs
      stopTimeout            = var.stop_seconds
      volumesFrom            = []
      systemControls         = []
    },
    # A task that catches up is alive and not ready: liveness restarts it, readiness lets requests in.
    local.runs ? {
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:${var.port}/livez', timeout=3)"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = var.start_seconds
      }
    } : {},
    local.fargate ? {} : { resourceRequirements = [{ type = "GPU", value = tostring(var.gpus) }] },
  )

  metrics = {
    name      = "metrics"
    image     = var.metrics.image
    essential = false
    command   = ["--config=env:OTEL_CONFIG"]
    environment = [{ name = "OTEL_CONFIG", value = yamlencode({
      receivers = { prometheus = { config = { scrape_configs = [{
        job_name        = var.service
        scrape_interval = "15s"
        static_configs  = [{ targets = ["127.0.0.1:${var.port}"], labels = { stack = var.name, service = var.service } }]
        metric_relabel_configs = [
          { source_labels = ["__name__"], regex = join("|", var.metrics.names), action = "keep" },
        ]
      }] } } }
      processors = { batch = { timeout = "15s" } }
      exporters = { awsemf = {
        region                  = data.aws_region.here.name
        namespace               = "Freshet"
        log_group_name          = aws_cloudwatch_log_group.metrics.name
        log_stream_name         = "{TaskId}"
        dimension_rollup_option = "NoDimensionRollup"
        # One series a service: CloudWatch keeps the maximum over its tasks, topics and partitions.
        metric_declarations = [{ dimensions = [["service", "stack"]], metric_name_selectors = [".*"] }]
      } }
      service = { pipelines = { metrics = { receivers = ["prometheus"], processors = ["batch"], exporters = ["awsemf"] } } }
    }) }]
    readonlyRootFilesystem = true
    linuxParameters        = local.alone
    logConfiguration       = local.logs
    restartPolicy          = { enabled = true }
    mountPoints            = []
    portMappings           = []
    volumesFrom            = []
    systemControls         = []
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/${var.service}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

# Lines that CloudWatch has already made metrics of.
resource "aws_cloudwatch_log_group" "metrics" {
  #checkov:skip=CKV_AWS_338:CloudWatch keeps the metrics themselves for 15 months

  name              = "/${var.name}/${var.service}/metrics"
  retention_in_days = 1
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.full
  requires_compatibilities = [local.fargate ? "FARGATE" : "EC2"]
  network_mode             = "awsvpc" # each task has its own address and hostname: its static name in the consumer group
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode(concat([local.prepare, local.service], local.runs ? [local.metrics] : []))

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  dynamic "ephemeral_storage" {
    for_each = local.fargate ? [var.disk_gib] : []

    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  dynamic "volume" {
    for_each = local.folders

    content {
      name = volume.key
    }
  }
}
