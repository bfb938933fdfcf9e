output "environment" {
  description = "The service's environment."
  value       = { for name, value in merge(local.known, var.overrides) : name => value if value != null }

  precondition {
    condition     = length(setsubtract(keys(var.overrides), keys(local.known))) == 0
    error_message = "The ${var.kind} reads no ${join(", ", setsubtract(keys(var.overrides), keys(local.known)))}."
  }
}

output "names" {
  description = "Every setting that the service reads."
  value       = sort(keys(local.known))
}
