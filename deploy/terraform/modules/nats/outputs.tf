output "urls" {
  description = "Addresses for clients, for nats.url."
  value       = [for i in sort(keys(local.hosts)) : "tls://${local.hosts[i]}:4222"]
}

output "security_group_id" {
  description = "Security group of the servers, for clients to reach."
  value       = aws_security_group.this.id
}

output "password_variables" {
  description = "The variables that deploy/nats/accounts.conf has passwords in, for password_secret_arns."
  value       = local.password_variables
}

output "configuration" {
  description = "cluster.conf of each server, as the tasks have it."
  value       = local.configuration
}

output "log_group_names" {
  description = "Where the logs are."
  value       = [for i in sort(keys(local.nodes)) : module.task[i].log_group_name]
}
