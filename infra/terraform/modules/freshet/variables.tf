variable "name" {
  description = "Name of the stack, and prefix of every name."
  type        = string
  default     = "freshet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,15}$", var.name))
    error_message = "A stack's name is 2 to 16 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "network" {
  description = "Where it runs: private subnets for services, one a zone; subnets of the load balancer; from `engine_cidrs` Kafka and Valkey answer on `engine_ports`."

  type = object({
    vpc_id              = string
    private_subnet_ids  = list(string)
    balancer_subnet_ids = list(string)
    engine_cidrs        = list(string)
    engine_ports        = optional(list(number), [6379, 9092, 9094, 9096, 9098])
  })

  validation {
    condition     = length(var.network.private_subnet_ids) >= 2 && length(var.network.balancer_subnet_ids) >= 2
    error_message = "Two zones at least: one may be lost."
  }
}

variable "kafka" {
  description = "Kafka: `auth` iam (with `cluster_arn`: each role opens its own topics), scram (with `secret_arn`) or none (the network decides, over TLS with `tls`)."

  type = object({
    bootstrap   = string
    auth        = string
    cluster_arn = optional(string)
    secret_arn  = optional(string)
    replicas    = optional(number, 3)
    tls         = optional(bool)
  })

  validation {
    condition     = contains(["iam", "scram", "none"], var.kafka.auth)
    error_message = "auth is iam, scram or none."
  }

  validation {
    condition     = var.kafka.auth != "iam" || var.kafka.cluster_arn != null
    error_message = "With IAM the cluster's ARN must be given: permissions name its topics."
  }

  validation {
    condition     = var.kafka.auth != "scram" || var.kafka.secret_arn != null
    error_message = "With SCRAM the ARN of the secret with username and password must be given."
  }
}

variable "valkey" {
  description = "Valkey: an address for each service without a password (`urls`), or a secret that holds the whole address. Where it is ElastiCache with IAM, also the group and the users."

  type = object({
    urls       = optional(map(string), {})
    secret_arn = optional(string)
    group_arn  = optional(string)
    user_arns  = optional(map(string), {})
    node_ids   = optional(list(string), [])
  })

  validation {
    condition     = (var.valkey.secret_arn == null) == (length(var.valkey.urls) > 0)
    error_message = "Either addresses or a secret."
  }

  validation {
    condition     = alltrue([for url in values(var.valkey.urls) : !can(regex("://[^/@]*:[^/@]*@", url))])
    error_message = "An address with a password is a secret: give the secret's ARN."
  }
}

variable "tasks" {
  description = "What is learned, as declared in shared/tasks.py. One that publishes every hour or more seldom (`publish_s`) has its updater stopped in between. `hosts`: names under which its ranking is reached; one task may have none."

  type = map(object({
    publish_s = optional(number, 0.25)
    gpu       = optional(bool, false)
    hosts     = optional(list(string), [])
  }))

  default = { ranking = {} }

  validation {
    condition     = length(var.tasks) > 0 && alltrue([for name in keys(var.tasks) : can(regex("^[a-z][a-z0-9-]{1,20}$", name))])
    error_message = "At least one task, of lower-case letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for task in var.tasks : task.publish_s >= 0 && task.publish_s <= 43200])
    error_message = "A task publishes every 0 s to 12 h: an alarm watches it, and CloudWatch looks back a day."
  }
}

variable "partitions" {
  description = "Of every keyed topic, and so the most tasks that share one. Never change it under data."
  type        = number
  default     = 16
}

variable "project" {
  description = "Feast's project."
  type        = string
  default     = "shop"
}

variable "bucket" {
  description = "Name of the bucket; null for the stack's name and the account."
  type        = string
  default     = null
}

variable "image_tag" {
  description = "Tag of the images that run."
  type        = string
}

variable "metrics_tag" {
  description = "Tag of the image `metrics`: a copy of the OpenTelemetry collector (contrib)."
  type        = string
}

variable "certificate_arn" {
  description = "ARN of the load balancer's certificate."
  type        = string
}

variable "client_cidrs" {
  description = "From where collector and ranking may be called."
  type        = list(string)
}

variable "internal" {
  description = "Whether the load balancer is reached from inside the network only."
  type        = bool
  default     = true
}

variable "api_keys" {
  description = "Whether collector and ranking ask their callers for a key, of the secrets `collector-keys` and `ranking-keys`."
  type        = bool
  default     = true
}

variable "metrics_cidrs" {
  description = "From where Prometheus reads /metrics; none where there is none."
  type        = list(string)
  default     = []
}

variable "operator_arns" {
  description = "Roles or users that may take the operator's role."
  type        = list(string)
}

variable "alarm_emails" {
  description = "Who is told of alarms."
  type        = set(string)
  default     = []
}

variable "gpu_instance_type" {
  description = "Machine of an updater with a GPU. Its task (`sizes`) must leave ECS some of its memory."
  type        = string
  default     = "g6.xlarge"
}

variable "sizes" {
  description = "Service → other sizes than the default: CPU units, MiB, GiB of local disk, least and most tasks."

  type = map(object({
    cpu      = optional(number)
    memory   = optional(number)
    disk_gib = optional(number)
    min      = optional(number)
    max      = optional(number)
  }))

  default = {}

  validation {
    condition     = length(setsubtract(keys(var.sizes), concat(["collector", "features", "jobs"], flatten([for task in keys(var.tasks) : ["joiner-${task}", "ranking-${task}", "updater-${task}"]])))) == 0
    error_message = "A size is given to a service by its name: collector, features, jobs, joiner-<task>, ranking-<task> or updater-<task>."
  }
}

variable "settings" {
  description = "Service → settings with other values than their defaults, such as { ranking-ranking = { FRESHET_LOG_LEVEL = \"debug\" } }."
  type        = map(map(string))
  default     = {}
}

variable "running" {
  description = "Whether services run. False at first, while images are pushed, secrets filled and jobs run by hand; false later takes all tasks away and leaves data and jobs."
  type        = bool
  default     = true
}

variable "outward" {
  description = "Where services may call besides AWS and the engines: port → from where it is answered, such as { 4318 = [\"10.0.0.0/16\"] } for an OpenTelemetry collector, 5000 for MLflow."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = alltrue([for port in keys(var.outward) : can(regex("^[0-9]{1,5}$", port))]) && alltrue([for cidr in flatten(values(var.outward)) : can(cidrhost(cidr, 0))])
    error_message = "A port, and the addresses (CIDR) that answer there."
  }
}

variable "throwaway" {
  description = "Whether destroying deletes all data at once. Only for stacks that are thrown away."
  type        = bool
  default     = false
}
