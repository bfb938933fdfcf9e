variable "name" {
  description = "Prefix of every name that this module gives."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}$", var.name))
    error_message = "A name is 2 to 23 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "service" {
  description = "The service's own name, such as collector or joiner-ranking."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.service))
    error_message = "A service's name is lower-case letters, digits and hyphens."
  }
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts logs and secrets."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "This is the ARN of a KMS key."
  }
}

variable "cluster" {
  description = "Where it runs: the outputs of the module cluster."

  type = object({
    arn          = string
    name         = string
    namespace_id = string
    fargate      = string
    gpu          = optional(string)
  })
}

variable "image" {
  description = "The image, with its tag."
  type        = string

  validation {
    condition     = can(regex(":[^/]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "An image names its tag, and latest is none: what a task definition says is what runs."
  }
}

variable "repository_arns" {
  description = "Repositories that its images are pulled from."
  type        = list(string)
}

variable "subnet_ids" {
  description = "Private subnets, one a zone."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of its tasks."
  type        = list(string)
}

variable "port" {
  description = "Where it answers /livez, /readyz, /metrics, and requests if it takes any."
  type        = number

  validation {
    condition     = var.port > 1023 && var.port < 65536
    error_message = "A port above 1023: it runs without privileges."
  }
}

variable "cpu" {
  description = "CPU units, 1024 a core, of the whole task."
  type        = number

  validation {
    condition     = var.gpus > 0 || contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "Fargate has tasks of 256, 512, 1024, 2048, 4096, 8192 and 16384 units."
  }
}

variable "memory" {
  description = "Memory of the whole task, in MiB."
  type        = number

  validation {
    condition     = var.gpus > 0 || (var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu)
    error_message = "Fargate gives 2 to 8 GiB a core."
  }
}

variable "gpus" {
  description = "GPUs of the task; above 0 it runs on the cluster's GPU machines."
  type        = number
  default     = 0

  validation {
    condition     = var.gpus == 0 || var.cluster.gpu != null
    error_message = "The cluster has no GPU machines."
  }
}

variable "disk_gib" {
  description = "Local disk on Fargate. What is on it is rebuilt from the log."
  type        = number
  default     = 21

  validation {
    condition     = var.disk_gib >= 21 && var.disk_gib <= 200
    error_message = "Fargate gives 21 to 200 GiB."
  }
}

variable "environment" {
  description = "Settings, as the module settings gives them."
  type        = map(string)

  validation {
    condition     = !anytrue([for name in keys(var.environment) : endswith(name, "_INSTANCE")])
    error_message = "A member of a consumer group is named by its container's hostname: two tasks must not share a name."
  }
}

variable "secrets" {
  description = "Environment variable → ARN of the secret that it is filled from."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.secrets) : can(regex("^arn:aws[a-z-]*:secretsmanager:", arn))])
    error_message = "A secret is given by its ARN, never by its value."
  }
}

variable "secret_files" {
  description = "Path under /run/freshet → ARN of the secret that the file is filled from."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for path in keys(var.secret_files) : startswith(path, "/run/freshet/")])
    error_message = "Secrets that are files lie in /run/freshet."
  }
}

variable "statements" {
  description = "What the service's own role may do."
  type        = list(object({ sid = string, actions = list(string), resources = list(string) }))

  validation {
    condition     = alltrue(flatten([for statement in var.statements : [for name in concat(statement.actions, statement.resources) : name != "*"]]))
    error_message = "No statement allows everything, or everywhere."
  }
}

variable "target" {
  description = "The load balancer's target group, for a service that takes requests."
  type        = object({ arn = string, arn_suffix = string, label = string, balancer = string })
  default     = null
}

variable "partitions" {
  description = "Partitions of what it reads, for a service that shares them out; more tasks would have nothing to do."
  type        = number
  default     = null
}

variable "singleton" {
  description = "Whether two must never run at once."
  type        = bool
  default     = false
}

variable "scaling" {
  description = "How many tasks, and the signal: `cpu` percent; `requests` a target and minute, and `p99_s`; `age_s` of the last record read; `start_age_s` of the oldest unlearned example, as `start_signal_from` exports it, for a singleton that is stopped in between."

  type = object({
    min               = number
    max               = number
    cpu               = optional(number)
    requests          = optional(number)
    p99_s             = optional(number)
    age_s             = optional(number)
    start_age_s       = optional(number)
    start_signal_from = optional(string)
  })

  validation {
    condition     = var.scaling.min >= 0 && var.scaling.min <= var.scaling.max
    error_message = "The least number of tasks is at most the greatest."
  }

  validation {
    condition     = var.partitions == null ? true : var.scaling.max <= var.partitions
    error_message = "At most as many tasks as partitions: more would have nothing to read."
  }

  validation {
    condition     = !var.singleton || var.scaling.max <= 1
    error_message = "A singleton has 0 or 1 tasks."
  }

  validation {
    condition     = (var.scaling.requests == null && var.scaling.p99_s == null) || (var.scaling.requests != null && var.target != null)
    error_message = "Requests and their latency are counted by a load balancer, and latency alone never takes tasks away."
  }

  validation {
    condition     = var.scaling.start_age_s == null ? true : var.singleton && var.scaling.min == 0 && var.scaling.start_age_s >= 3600 && var.scaling.start_signal_from != null
    error_message = "Only a singleton whose work may wait an hour or more is stopped in between, and another service says when there is work."
  }

  validation {
    condition     = var.scaling.min > 0 || var.scaling.max == 0 || var.scaling.start_age_s != null
    error_message = "A service that may have no task needs something to start it."
  }
}

variable "metrics" {
  description = "Image of the OpenTelemetry collector (contrib), and the names of the metrics that go to CloudWatch."
  type        = object({ image = string, names = list(string) })

  validation {
    condition     = var.scaling.age_s == null || contains(var.metrics.names, "freshet_last_record_age_seconds")
    error_message = "Who scales on the age of the last record must export it."
  }
}

variable "start_seconds" {
  description = "How long a task may take until it answers."
  type        = number
  default     = 120

  validation {
    condition     = var.start_seconds >= 0 && var.start_seconds <= 300
    error_message = "ECS waits at most 300 s."
  }
}

variable "stop_seconds" {
  description = "How long a task may take to finish after SIGTERM."
  type        = number
  default     = 60

  validation {
    condition     = var.stop_seconds >= 2 && var.stop_seconds <= 120
    error_message = "Fargate waits 2 to 120 s."
  }
}

variable "log_days" {
  description = "Days for which its log is kept."
  type        = number
  default     = 365
}
