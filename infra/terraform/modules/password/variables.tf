variable "characters" {
  description = "How long it is."
  type        = number
  default     = 48

  validation {
    condition     = var.characters >= 24
    error_message = "At least 24 characters."
  }
}
