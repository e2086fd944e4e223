output "container" {
  description = "What each container of the task has in common, to be merged with what it is: user, file systems, secrets, mounts, logs."
  value       = local.container
}

output "files_container" {
  description = "The container that writes the files."
  value       = local.files_container
}

output "volumes" {
  description = "Names of the task's own volumes, which live as long as the task."
  value       = concat(["files"], sort(keys(var.folders)))
}

output "execution_role_arn" {
  description = "Role that starts the task."
  value       = aws_iam_role.execution.arn
}

output "task_role_arn" {
  description = "Role that the program runs under."
  value       = aws_iam_role.task.arn
}

output "task_role_name" {
  description = "The same, to attach a policy to."
  value       = aws_iam_role.task.name
}

output "log_group_name" {
  description = "Where the logs are."
  value       = aws_cloudwatch_log_group.this.name
}
