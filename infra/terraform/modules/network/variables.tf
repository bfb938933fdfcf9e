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

variable "cidr" {
  description = "Addresses of the VPC: /16 to /20."
  type        = string
  default     = "10.60.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20
    error_message = "The VPC is an IPv4 range from /16 to /20."
  }
}

variable "zones" {
  description = "How many availability zones; Kafka's three replicas want three."
  type        = number
  default     = 3

  validation {
    condition     = var.zones >= 2 && var.zones <= 6
    error_message = "Two to six zones: a load balancer needs two."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone, so that one zone's loss costs the others nothing; false for a single one."
  type        = bool
  default     = true
}

variable "log_days" {
  description = "Days for which rejected connections stay in the log."
  type        = number
  default     = 365
}
