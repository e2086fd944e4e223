output "security_group_id" {
  description = "Security group of the tasks, for others to let in."
  value       = aws_security_group.this.id
}

output "task_definition_arn" {
  description = "The task definition, for aws ecs run-task with consumer, migrate and retention."
  value       = aws_ecs_task_definition.this.arn
}

output "task_role_name" {
  description = "Role that the program runs under. It may do nothing at AWS."
  value       = module.task.task_role_name
}

output "log_group_name" {
  description = "Where the logs are."
  value       = module.task.log_group_name
}
