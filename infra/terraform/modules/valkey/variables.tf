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

variable "users" {
  description = "User → what it may do, as Valkey's access string."
  type        = map(string)

  default = {
    # Serving reads; whoever counts and whoever imports history writes.
    ranking  = "on ~* resetchannels -@all +@read +@connection"
    features = "on ~* resetchannels -@all +@read +@write +@scripting +@connection"
    updater  = "on ~* resetchannels -@all +@read +@write +@scripting +@connection"
    jobs     = "on ~* resetchannels -@all +@read +@write +@scripting +@connection"
  }

  validation {
    condition     = alltrue([for access in var.users : startswith(access, "on ") && strcontains(access, "-@all")])
    error_message = "A user is on, and begins with no command allowed."
  }
}

variable "node_type" {
  description = "A node's size; memory holds every user's row (5 kB) and item's (1 kB)."
  type        = string
  default     = "cache.r7g.large"

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "ElastiCache's types begin with cache."
  }
}

variable "replicas" {
  description = "Replicas beside the primary."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 5
    error_message = "One to five: without a replica there is no failover."
  }
}

variable "snapshot_days" {
  description = "Days for which daily snapshots are kept."
  type        = number
  default     = 7

  validation {
    condition     = var.snapshot_days >= 1 && var.snapshot_days <= 35
    error_message = "1 to 35 days."
  }
}
