output "secrets" {
  description = "The secrets that want a value before anything runs: name => what it holds."
  value = merge(
    { for name, text in local.secrets : aws_secretsmanager_secret.this[name].name => text },
    { for name, s in aws_secretsmanager_secret.nats_password : s.name => s.description },
  )
}

output "nats_hosts" {
  description = "Names that the certificate of NATS must have."
  value       = [for u in module.nats.urls : trimsuffix(trimprefix(u, "tls://"), ":4222")]
}

output "pgbouncer_host" {
  description = "Name that the certificate of PgBouncer must have."
  value       = module.pgbouncer.host
}

output "maintenance" {
  description = "What aws ecs run-task needs for migrate, consumer and retention: task definition and security group."
  value       = { for name, m in merge(module.maintenance, { consumer = module.consumer }) : name => { task_definition = m.task_definition_arn, security_group = m.security_group_id } }
}
