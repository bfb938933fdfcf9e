variable "name" {
  description = "Prefix of every name that this module gives."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}$", var.name))
    error_message = "A name is 2 to 23 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the load balancer, one a zone: public ones unless it is internal."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A load balancer needs two zones."
  }
}

variable "internal" {
  description = "Whether it is reached from inside the network only."
  type        = bool
  default     = false
}

variable "client_cidrs" {
  description = "From where it may be called."
  type        = list(string)

  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for cidr in var.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "At least one IPv4 range."
  }
}

variable "certificate_arn" {
  description = "ARN of the certificate (ACM)."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:(acm|iam):", var.certificate_arn))
    error_message = "This is the ARN of a certificate."
  }
}

variable "targets" {
  description = "Service → its port, and the paths (of all hosts where none is named) that go to it."

  type = map(object({
    port  = number
    paths = list(string)
    hosts = optional(list(string), [])
  }))

  validation {
    condition     = alltrue([for target in var.targets : length(target.paths) > 0 && length(target.paths) + length(target.hosts) <= 5])
    error_message = "A rule of a load balancer takes one to five paths and hosts."
  }

  validation {
    condition     = length(flatten([for t in var.targets : t.paths if length(t.hosts) == 0])) == length(distinct(flatten([for t in var.targets : t.paths if length(t.hosts) == 0])))
    error_message = "Two services have the same path: name the hosts of one."
  }
}

variable "target_security_group_id" {
  description = "Security group of the services."
  type        = string
}

variable "logs_bucket" {
  description = "Bucket that takes the access logs."
  type        = string
}

variable "deletion_protection" {
  description = "Whether it must be unprotected before it can be destroyed."
  type        = bool
  default     = true
}
