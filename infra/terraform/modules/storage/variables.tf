variable "bucket" {
  description = "Name of the bucket; the access logs' adds -logs."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{2,57}$", var.bucket))
    error_message = "A bucket's name is 3 to 58 lower-case letters, digits and hyphens."
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

variable "tasks" {
  description = "Tasks whose bundles lie here, each under its own name."
  type        = set(string)
}

variable "pointer_writers" {
  description = "Task → ARN of the one role that may move its latest.json: the updater's."
  type        = map(string)

  validation {
    condition     = toset(keys(var.pointer_writers)) == var.tasks
    error_message = "Each task has exactly one writer of its pointer."
  }
}

variable "pin_writer" {
  description = "ARN of the one role that may pin and unpin: the operator's."
  type        = string
}

variable "noncurrent_days" {
  description = "Days for which deleted objects can be brought back."
  type        = number
  default     = 7

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "At least a day."
  }
}

variable "log_days" {
  description = "Days for which access logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_days >= 1
    error_message = "At least a day."
  }
}

variable "force_destroy" {
  description = "Whether destroying deletes what the buckets hold. Only for stacks that are thrown away."
  type        = bool
  default     = false
}
