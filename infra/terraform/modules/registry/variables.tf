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

variable "images" {
  description = "Images, each with a repository of its own."
  type        = set(string)
}

variable "kept" {
  description = "Images of each repository that are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.kept >= 2
    error_message = "Keep at least two: what runs, and what to go back to."
  }
}

variable "force_delete" {
  description = "Whether destroying deletes the images. Only for stacks that are thrown away."
  type        = bool
  default     = false
}
