output "host" {
  description = "Name of the instance, as its certificate has it."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Its port."
  value       = 5432
}

output "database_name" {
  description = "Name of the database."
  value       = aws_db_instance.this.db_name
}

output "master_username" {
  description = "The owner of the database."
  value       = aws_db_instance.this.username
}

output "master_password_value_from" {
  description = "valueFrom of the owner's password, for drover migrate."
  value       = "${one(aws_db_instance.this.master_user_secret).secret_arn}:password::"
}

output "security_group_id" {
  description = "Security group of the instance, for clients to reach."
  value       = aws_security_group.this.id
}
