variable "name" {
  description = "The dashboard's name: the stack's."
  type        = string
}

variable "cluster_name" {
  description = "The ECS cluster."
  type        = string
}

variable "balancer" {
  description = "The load balancer's name in CloudWatch."
  type        = string
}

variable "targets" {
  description = "Service → its target group's name in CloudWatch."
  type        = map(string)
}

variable "services" {
  description = "Every service."
  type        = list(string)
}

variable "readers" {
  description = "Services that export the age of the last record read."
  type        = list(string)
}

variable "learners" {
  description = "Services that publish bundles."
  type        = list(string)
}
