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

variable "network" {
  description = "Your VPC: private subnets for services, subnets of the load balancer, and where Kafka and Valkey answer."

  type = object({
    vpc_id              = string
    private_subnet_ids  = list(string)
    balancer_subnet_ids = list(string)
    engine_cidrs        = list(string)
    engine_ports        = optional(list(number))
  })
}

variable "kafka" {
  description = "Your Kafka: bootstrap servers, how its clients are known (iam, scram, none), and how many replicas a topic has."

  type = object({
    bootstrap   = string
    auth        = string
    cluster_arn = optional(string)
    secret_arn  = optional(string)
    replicas    = optional(number, 3)
  })
}

variable "valkey_secret_arn" {
  description = "ARN of a secret that holds your Valkey's whole address, such as rediss://USER:PASSWORD@host:6379/0."
  type        = string
}

variable "throwaway" {
  description = "Whether destroying deletes all data at once."
  type        = bool
  default     = false
}

variable "running" {
  description = "Whether services run; false at first, see the steps above."
  type        = bool
  default     = true
}
