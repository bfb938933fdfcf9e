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

variable "generated" {
  description = "Secrets that get a random value here."
  type        = set(string)
  default     = []
}

variable "provided" {
  description = "Secrets whose value an operator puts in: keys that are made elsewhere."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setintersection(var.provided, var.generated)) == 0
    error_message = "A secret is either generated or provided."
  }
}

variable "rotations" {
  description = "Generated secret → a number; a higher one than last time makes a new value."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.rotations), var.generated)) == 0
    error_message = "Only generated secrets are rotated here."
  }
}

variable "recovery_days" {
  description = "Days in which a deleted secret can be brought back; 0 deletes at once, for stacks that are thrown away."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "0, or 7 to 30 days."
  }
}
