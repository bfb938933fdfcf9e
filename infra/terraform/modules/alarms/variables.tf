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

variable "emails" {
  description = "Who is told; each must confirm once."
  type        = set(string)

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "These are addresses of electronic mail."
  }
}

variable "cluster_name" {
  description = "The ECS cluster."
  type        = string
}

variable "services" {
  description = "Service → its least number of tasks, the age of records that is too old, the minutes in which it must publish, how long its examples may wait as `waits_from` tells it, and whether it makes dead letters."

  type = map(object({
    min               = number
    behind_s          = optional(number)
    publishes_minutes = optional(number)
    waits_s           = optional(number)
    waits_from        = optional(string)
    dead_letters      = optional(bool, false)
  }))

  validation {
    condition     = alltrue([for s in var.services : s.publishes_minutes == null ? true : s.publishes_minutes >= 1 && s.publishes_minutes <= 1440])
    error_message = "CloudWatch looks back a day at most."
  }

  validation {
    condition     = alltrue([for s in var.services : (s.waits_s == null) == (s.waits_from == null)])
    error_message = "Somebody tells how long examples wait: `waits_from` names the joiner."
  }
}

variable "balancer" {
  description = "The load balancer's name in CloudWatch."
  type        = string
}

variable "targets" {
  description = "Service → its target group's name in CloudWatch."
  type        = map(string)
}

variable "valkey_node_ids" {
  description = "Nodes of Valkey, where it is ours."
  type        = set(string)
  default     = []
}

variable "errors" {
  description = "Answers 5xx in five minutes that are still none of our business."
  type        = number
  default     = 10
}

variable "dead_letters" {
  description = "Dead letters in five minutes that are still a shop's own mistakes."
  type        = number
  default     = 100
}
