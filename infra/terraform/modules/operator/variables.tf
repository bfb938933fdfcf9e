variable "name" {
  description = "Prefix of every name that this module gives."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}$", var.name))
    error_message = "A name is 2 to 23 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "people_arns" {
  description = "Roles or users that may take this role, with a second factor."
  type        = list(string)

  validation {
    condition     = length(var.people_arns) > 0 && alltrue([for arn in var.people_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:", arn))])
    error_message = "At least one ARN of IAM; never everybody."
  }
}

variable "bucket_arn" {
  description = "Bucket of bundles."
  type        = string
}

variable "tasks" {
  description = "Tasks whose bundles may be pinned."
  type        = set(string)
}

variable "kms_key_arn" {
  description = "The key of the bucket."
  type        = string
}

variable "statements" {
  description = "What it may do besides: read topics, write plans."
  type        = list(object({ sid = string, actions = list(string), resources = list(string) }))
  default     = []
}
