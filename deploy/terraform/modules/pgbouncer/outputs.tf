output "host" {
  description = "Name of PgBouncer, as its certificate must have it."
  value       = "${var.name}.${var.namespace.name}"
}

output "port" {
  description = "Its port."
  value       = 6432
}

output "security_group_id" {
  description = "Security group of the tasks, for clients to reach and for PostgreSQL to let in."
  value       = aws_security_group.this.id
}

output "configuration" {
  description = "pgbouncer.ini as the tasks have it."
  value       = local.configuration
}

output "log_group_name" {
  description = "Where the logs are."
  value       = module.task.log_group_name
}
