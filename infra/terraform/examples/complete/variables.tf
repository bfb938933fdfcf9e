variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "Name of the stack."
  type        = string
  default     = "freshet"
}

variable "image_tag" {
  description = "Tag of the images that run."
  type        = string
}

variable "metrics_tag" {
  description = "Tag of the copied OpenTelemetry collector."
  type        = string
}

variable "certificate_arn" {
  description = "ARN of the load balancer's certificate."
  type        = string
}

variable "client_cidrs" {
  description = "From where collector and ranking may be called."
  type        = list(string)
}

variable "operator_arns" {
  description = "Roles or users that may take the operator's role."
  type        = list(string)
}

variable "alarm_emails" {
  description = "Who is told of alarms."
  type        = set(string)
  default     = []
}

variable "kafka_kind" {
  description = "provisioned or serverless."
  type        = string
  default     = "provisioned"
}

variable "kafka_auth" {
  description = "iam or scram."
  type        = string
  default     = "iam"
}

variable "gpu" {
  description = "Whether the updater runs on a GPU."
  type        = bool
  default     = false
}

variable "running" {
  description = "Whether services run; false at first, see the steps above."
  type        = bool
  default     = true
}
