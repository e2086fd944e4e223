variable "name" {
  description = "Name of the instance, and the beginning of others."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "name: \"${var.name}\" must be 1 to 32 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id: \"${var.vpc_id}\" must begin with vpc-."
  }
}

variable "subnet_ids" {
  description = "Private subnets for the instance."
  type        = list(string)
  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: give at least two different subnets, each in a zone of its own; ids begin with subnet-."
  }
}

variable "database_name" {
  description = "Name of the database."
  type        = string
  default     = "drover"
  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name: \"${var.database_name}\" must be lower-case letters, digits and _, and begin with a letter."
  }
}

variable "master_username" {
  description = "The owner of the database, for drover migrate. RDS makes its password and changes it."
  type        = string
  default     = "drover_owner"
  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.master_username)) && !contains(["admin", "postgres", "rdsadmin"], var.master_username)
    error_message = "master_username: \"${var.master_username}\" must be lower-case letters, digits and _, and a name of its own."
  }
}

variable "engine_version" {
  description = "Major version of PostgreSQL, 15 or later. drover's tests run 15. RDS keeps the minor one up to date."
  type        = string
  default     = "15"
  validation {
    condition     = can(regex("^(1[5-9]|2[0-9])$", var.engine_version))
    error_message = "engine_version: \"${var.engine_version}\" must be a major version, 15 or later."
  }
}

variable "instance_class" {
  description = "Size of the instance. Its memory decides max_connections, which must cover PgBouncer's pools: 30 for each role."
  type        = string
  default     = "db.t4g.medium"
  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "instance_class: \"${var.instance_class}\" must begin with db."
  }
}

variable "storage_gib" {
  description = "Disk at the beginning, and up to which it grows by itself."
  type = object({
    initial = number
    maximum = number
  })
  default = { initial = 20, maximum = 200 }
  validation {
    condition     = var.storage_gib.initial >= 20 && var.storage_gib.maximum >= 1.26 * var.storage_gib.initial
    error_message = "storage_gib: initial must be at least 20, and maximum at least 26 % more."
  }
}

variable "multi_az" {
  description = "Whether there is a second instance in another zone that takes over."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "How long backups are kept, and so how far back one can restore to any second."
  type        = number
  default     = 14
  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "backup_retention_days: ${var.backup_retention_days} must be 7 to 35: less is too little to notice what happened, and RDS keeps no more."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the instance."
  type        = bool
  default     = true
}

variable "ca_cert_identifier" {
  description = "CA of the instance's certificate."
  type        = string
  default     = "rds-ca-rsa2048-g1"
  validation {
    condition     = can(regex("^rds-ca-(rsa|ecc)[0-9]+-g[0-9]+$", var.ca_cert_identifier))
    error_message = "ca_cert_identifier: \"${var.ca_cert_identifier}\" must be one of RDS, such as rds-ca-rsa2048-g1."
  }
}

variable "client_security_group_ids" {
  description = "Who may come to port 5432, and nobody else: name => security group. PgBouncer's, and that of drover migrate."
  type        = map(string)
  validation {
    condition     = length(var.client_security_group_ids) > 0 && alltrue([for id in values(var.client_security_group_ids) : startswith(id, "sg-")])
    error_message = "client_security_group_ids: name at least one security group; ids begin with sg-. Addresses are not taken."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts storage, backups, logs, Performance Insights and the owner's password."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn: \"${var.kms_key_arn}\" must be the ARN of a key."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the logs."
  type        = number
  default     = 30
  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400], var.log_retention_days)
    error_message = "log_retention_days: ${var.log_retention_days} must be 30, 60, 90, 120, 150, 180, 365 or 400: CloudWatch knows no others, and less than a month is too little to find out what happened."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
