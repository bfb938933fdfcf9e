variable "kind" {
  description = "Whose settings: collector, features, joiner, ranking, updater or jobs."
  type        = string

  validation {
    condition     = contains(["collector", "features", "joiner", "ranking", "updater", "jobs"], var.kind)
    error_message = "There is no such service."
  }
}

variable "kafka" {
  description = "Bootstrap servers, separated by commas."
  type        = string
}

variable "kafka_auth" {
  description = "How it logs in to Kafka: none, scram (user and password are secrets) or iam."
  type        = string
}

variable "kafka_tls" {
  description = "Whether Kafka is spoken to over TLS."
  type        = bool
}

variable "partitions" {
  description = "Of every keyed topic. Never change it under data."
  type        = number

  validation {
    condition     = var.partitions >= 1 && var.partitions <= 4096
    error_message = "1 to 4096 partitions."
  }
}

variable "replicas" {
  description = "Replicas of every topic."
  type        = number
}

variable "redis" {
  description = "Valkey's address without a password; null where a secret holds the whole address."
  type        = string
}

variable "redis_cluster" {
  description = "ElastiCache cluster of which the address' user is a role; null where there is none."
  type        = string
}

variable "bucket" {
  description = "Bucket of bundles and checkpoints."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "project" {
  description = "Feast's project."
  type        = string
}

variable "task" {
  description = "The task that it works for."
  type        = string
}

variable "publish_s" {
  description = "Rows of the task's bundles are published no more often than this."
  type        = number
}

variable "port" {
  description = "Where it listens."
  type        = number
}

variable "memory" {
  description = "Memory of its task, in MiB."
  type        = number
}

variable "overrides" {
  description = "Setting → another value than here, or than the service's default."
  type        = map(string)
}
