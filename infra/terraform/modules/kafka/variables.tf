variable "name" {
  description = "Prefix of every name that this module gives."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}$", var.name))
    error_message = "A name is 2 to 23 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts at rest."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "This is the ARN of a KMS key."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, one a zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Two zones at least: one may be lost."
  }
}

variable "client_security_group_ids" {
  description = "Who may connect: a name → security group."
  type        = map(string)
}

variable "kind" {
  description = "provisioned: brokers of a chosen size. serverless: paid by partition and byte, IAM only."
  type        = string
  default     = "provisioned"

  validation {
    condition     = contains(["provisioned", "serverless"], var.kind)
    error_message = "Either provisioned or serverless."
  }
}

variable "auth" {
  description = "iam: each service's role opens its own topics. scram: one user and password for all."
  type        = string
  default     = "iam"

  validation {
    condition     = contains(["iam", "scram"], var.auth) && !(var.auth == "scram" && var.kind == "serverless")
    error_message = "Either iam or scram; MSK Serverless knows iam alone."
  }
}

variable "kafka_version" {
  description = "Kafka's version, provisioned only."
  type        = string
  default     = "3.8.x"
}

variable "replicas" {
  description = "Replicas of a topic; one less must be in sync for an acknowledgement."
  type        = number
  default     = 3

  validation {
    condition     = var.replicas >= 2 && var.replicas <= length(var.subnet_ids) * var.brokers_per_zone
    error_message = "At least two replicas, and no more than there are brokers."
  }
}

variable "brokers_per_zone" {
  description = "Brokers in each zone, provisioned only."
  type        = number
  default     = 1

  validation {
    condition     = var.brokers_per_zone >= 1
    error_message = "At least one."
  }
}

variable "instance_type" {
  description = "A broker's size, provisioned only."
  type        = string
  default     = "kafka.m7g.large"

  validation {
    condition     = startswith(var.instance_type, "kafka.")
    error_message = "MSK's types begin with kafka."
  }
}

variable "volume_gib" {
  description = "A broker's disk when it is made; later growth is left alone."
  type        = number
  default     = 200

  validation {
    condition     = var.volume_gib >= 10 && var.volume_gib <= 16384
    error_message = "10 to 16384 GiB."
  }
}

variable "scram_password" {
  description = "The password of SCRAM, such as the module password makes; it goes to Secrets Manager and is not kept here."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = var.auth != "scram" || try(length(var.scram_password) >= 24, false)
    error_message = "SCRAM wants a password of 24 characters or more."
  }
}

variable "scram_rotation" {
  description = "A higher number than last time makes a new password."
  type        = number
  default     = 1
}

variable "log_days" {
  description = "Days for which brokers' logs are kept."
  type        = number
  default     = 365
}
