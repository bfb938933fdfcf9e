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
  description = "Private subnets, one a zone."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Two zones at least: one may be lost."
  }
}

variable "gpu" {
  description = "Machines for updaters with a GPU; null for none. With `min` 0 there is one only while an updater runs."

  type = object({
    instance_type = optional(string, "g6.xlarge")
    min           = optional(number, 0)
    max           = optional(number, 1)
    disk_gib      = optional(number, 100)
  })

  default = null

  validation {
    condition     = var.gpu == null ? true : var.gpu.min >= 0 && var.gpu.max >= max(1, var.gpu.min)
    error_message = "There must be room for at least one machine."
  }

  validation {
    condition     = var.gpu == null ? true : can(regex("^(g|p)[0-9]", var.gpu.instance_type))
    error_message = "Machines with a GPU are of the families g and p."
  }
}
