variable "name" {
  description = "Name of the service, and in the namespace."
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
  description = "Private subnets for the tasks."
  type        = list(string)
  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: give at least two different subnets, each in a zone of its own; ids begin with subnet-."
  }
}

variable "cluster_arn" {
  description = "The ECS cluster."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:ecs:.*:cluster/", var.cluster_arn))
    error_message = "cluster_arn: \"${var.cluster_arn}\" must be the ARN of an ECS cluster."
  }
}

variable "namespace" {
  description = "Private DNS namespace of Cloud Map: its id, and its name, such as bot.internal."
  type = object({
    id   = string
    name = string
  })
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.namespace.name))
    error_message = "namespace.name: \"${var.namespace.name}\" must be a DNS name without a dot at its end."
  }
}

variable "image" {
  description = "Image with pgbouncer, and pg_isready for the health check. With a tag or digest."
  type        = string
  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image: \"${var.image}\" must end with a tag other than latest, or with a digest: what runs must be known."
  }
}

variable "files_image" {
  description = "Image of the container that writes the files: anything with /bin/sh, printf and chmod, such as busybox. With a tag or digest."
  type        = string
}

variable "image_repository_arns" {
  description = "ECR repositories that images are fetched from. Empty: none, the images are public."
  type        = list(string)
  default     = []
}

variable "architecture" {
  description = "Processor: X86_64 or ARM64, as the image has it."
  type        = string
  default     = "X86_64"
  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture: \"${var.architecture}\" must be X86_64 or ARM64."
  }
}

variable "desired_count" {
  description = "How many tasks run. 0 stops all."
  type        = number
  default     = 2
  validation {
    condition     = var.desired_count >= 0 && var.desired_count <= 200 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count: ${var.desired_count} must be a whole number from 0 to 200."
  }
}

variable "database" {
  description = "PostgreSQL: host, port, name of the database, CA of its certificate in PEM (the bundle of your region), and security group."
  type = object({
    host              = string
    port              = number
    name              = string
    ca_pem            = string
    security_group_id = string
  })
  validation {
    condition     = can(regex("^\\s*-----BEGIN CERTIFICATE-----", var.database.ca_pem)) && !strcontains(var.database.ca_pem, "PRIVATE KEY") && length(var.database.ca_pem) <= 16384
    error_message = "database.ca_pem: must be certificates in PEM, and 16 KiB at most: take the bundle of your region, not the global one."
  }
  validation {
    condition     = var.database.port >= 1 && var.database.port <= 65535
    error_message = "database.port: must be 1 to 65535."
  }
  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]*$", var.database.name))
    error_message = "database.name: \"${var.database.name}\" must be lower-case letters, digits and _."
  }
}

variable "users_secret_arn" {
  description = "Secret with userlist.txt: a line \"role\" \"password\" for each role that may come (README.md)."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:", var.users_secret_arn))
    error_message = "users_secret_arn: must be the ARN of a secret in Secrets Manager, never the secret itself."
  }
}

variable "certificate_secret_arn" {
  description = "Secret with PgBouncer's certificate as JSON with certificate and key."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:", var.certificate_secret_arn))
    error_message = "certificate_secret_arn: must be the ARN of a secret in Secrets Manager, never the secret itself."
  }
}

variable "client_security_group_ids" {
  description = "Who may come to port 6432, and nobody else: name => security group. The ECS tasks' and the workers'."
  type        = map(string)
  validation {
    condition     = length(var.client_security_group_ids) > 0 && alltrue([for id in values(var.client_security_group_ids) : startswith(id, "sg-")])
    error_message = "client_security_group_ids: name at least one security group; ids begin with sg-. Addresses are not taken."
  }
}

variable "https_egress" {
  description = "Where HTTPS may go: registry, Secrets Manager and CloudWatch, each by address, prefix list or the security group of your VPC endpoints. Names are yours."
  type = object({
    cidr_ipv4          = optional(map(string), {})
    prefix_list_ids    = optional(map(string), {})
    security_group_ids = optional(map(string), {})
  })
  validation {
    condition     = length(var.https_egress.cidr_ipv4) + length(var.https_egress.prefix_list_ids) + length(var.https_egress.security_group_ids) > 0
    error_message = "https_egress: name at least one destination: without HTTPS no task starts."
  }
  validation {
    condition     = alltrue([for c in values(var.https_egress.cidr_ipv4) : can(cidrnetmask(c))])
    error_message = "https_egress.cidr_ipv4: write each like 10.0.0.0/16: ${join(", ", values(var.https_egress.cidr_ipv4))}."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the log group and the secrets."
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
