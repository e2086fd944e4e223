variable "name" {
  description = "Name of the service, such as drover or drover-worker."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "name: \"${var.name}\" must be 1 to 32 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "role" {
  description = "What the tasks do: run (nodes: Discord's gateway in, JetStream out), worker (JetStream in, PostgreSQL out), or consumer (makes the workers' consumer, as NATS' operator), migrate and retention, which are task definitions without a service, for aws ecs run-task."
  type        = string
  default     = "run"
  validation {
    condition     = contains(["run", "worker", "consumer", "migrate", "retention"], var.role)
    error_message = "role: \"${var.role}\" must be run, worker, consumer, migrate or retention."
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
  description = "Private subnets for the tasks, with a way to the internet for role run."
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

variable "image" {
  description = "Image of drover (deploy/docker). With a tag or digest."
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

variable "cpu" {
  description = "CPU units of each task; 1024 are one processor."
  type        = number
  default     = 1024
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu: ${var.cpu} must be 256, 512, 1024, 2048, 4096, 8192 or 16384: Fargate has no others."
  }
}

variable "memory" {
  description = "Memory of each task in MiB."
  type        = number
  default     = 2048
  validation {
    condition     = var.cpu == 256 ? contains([512, 1024, 2048], var.memory) : var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu && var.memory % 1024 == 0
    error_message = "memory: Fargate has 512, 1024 or 2048 for 256 CPU units, else whole GiB from twice to eight times the CPU units; got ${var.memory} for ${var.cpu}."
  }
}

variable "desired_count" {
  description = "How many tasks run. Nodes share the pools out among themselves; 0 stops all. Only for run and worker."
  type        = number
  default     = 3
  validation {
    condition     = var.desired_count >= 0 && var.desired_count <= 200 && floor(var.desired_count) == var.desired_count
    error_message = "desired_count: ${var.desired_count} must be a whole number from 0 to 200."
  }
}

variable "schedule" {
  description = "When the task runs by itself, as EventBridge's scheduler writes it: cron(17 3 * * ? *). Only for retention. null: it runs by aws ecs run-task alone."
  type        = string
  default     = null
  validation {
    condition     = var.schedule == null ? true : var.role == "retention" && can(regex("^(cron|rate)\\(.+\\)$", var.schedule))
    error_message = "schedule: it is for role retention, and written like cron(17 3 * * ? *) or rate(1 day)."
  }
}

variable "shutdown_timeout_seconds" {
  description = "drover's shutdown.timeout. ECS kills 10 s later."
  type        = number
  default     = 20
  validation {
    condition     = var.shutdown_timeout_seconds >= 1 && var.shutdown_timeout_seconds <= 110 && floor(var.shutdown_timeout_seconds) == var.shutdown_timeout_seconds
    error_message = "shutdown_timeout_seconds: ${var.shutdown_timeout_seconds} must be a whole number from 1 to 110: Fargate waits for 120 s at most."
  }
}

variable "ephemeral_storage_gib" {
  description = "Disk of each task, for the image and the spool. The spool's default of 2 GiB takes up to 3.1."
  type        = number
  default     = 21
  validation {
    condition     = var.ephemeral_storage_gib >= 21 && var.ephemeral_storage_gib <= 200
    error_message = "ephemeral_storage_gib: ${var.ephemeral_storage_gib} must be 21 to 200: Fargate has no others."
  }
}

variable "discord_token_secret_arn" {
  description = "Secret with the bot's token. Required for role run, and refused for others: they need none."
  type        = string
  default     = null
  validation {
    condition     = var.discord_token_secret_arn == null ? true : can(regex("^arn:[a-z-]+:secretsmanager:", var.discord_token_secret_arn))
    error_message = "discord_token_secret_arn: must be the ARN of a secret in Secrets Manager, never the secret itself."
  }
}

variable "nats" {
  description = "NATS: its addresses (tls://…), security group, the CA of its certificates in PEM, our user there, the secret with its password, and the secret with our certificate as JSON with certificate and key. Required for run, worker and consumer."
  type = object({
    urls                   = list(string)
    security_group_id      = string
    ca_pem                 = string
    user                   = string
    password_secret_arn    = string
    certificate_secret_arn = string
  })
  default = null
  validation {
    condition     = var.nats == null ? true : length(var.nats.urls) > 0 && alltrue([for u in var.nats.urls : can(regex("^tls://[^@]+$", u))])
    error_message = "nats.urls: each must begin with tls:// and have no user in it."
  }
  validation {
    condition     = var.nats == null ? true : alltrue([for v in [var.nats.password_secret_arn, var.nats.certificate_secret_arn] : can(regex("^arn:[a-z-]+:secretsmanager:", v))])
    error_message = "nats: password_secret_arn and certificate_secret_arn must be ARNs of secrets in Secrets Manager."
  }
}

variable "database" {
  description = "PostgreSQL, or PgBouncer before it: host, port, name of the database, user, valueFrom of its password, CA of its certificate in PEM, and security group. Required for worker, migrate and retention."
  type = object({
    host                = string
    port                = number
    name                = string
    user                = string
    password_value_from = string
    ca_pem              = string
    security_group_id   = string
  })
  default = null
  validation {
    condition     = var.database == null ? true : can(regex("^arn:[a-z-]+:secretsmanager:", var.database.password_value_from))
    error_message = "database.password_value_from: must be the ARN of a secret in Secrets Manager (perhaps with :key:: behind it), never the password itself."
  }
  validation {
    condition     = var.database == null ? true : var.database.port >= 1 && var.database.port <= 65535
    error_message = "database.port: must be 1 to 65535."
  }
}

variable "environment" {
  description = "More of drover's configuration: DROVER_… => value (docs/configuration.md)."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^(DROVER_[A-Z0-9_]+|GOMEMLIMIT|AUTOMEMLIMIT|GOGC)$", name))])
    error_message = "environment: names must be drover's own, DROVER_…: ${join(", ", keys(var.environment))}."
  }
  validation {
    condition     = alltrue([for name in keys(var.environment) : !can(regex("(TOKEN|PASSWORD|SECRET|CREDS|NKEY|DATABASE_URL|MIGRATE_URL)", name))])
    error_message = "environment: a secret must not stand here, where everybody reads it: ${join(", ", keys(var.environment))}. Use discord_token_secret_arn, nats and database."
  }
}

variable "metrics_client_security_group_ids" {
  description = "Who may come to port 9090, with metrics, status page and no password: name => security group, such as Prometheus'."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for id in values(var.metrics_client_security_group_ids) : startswith(id, "sg-")])
    error_message = "metrics_client_security_group_ids: ids begin with sg-. Addresses are not taken."
  }
}

variable "https_egress" {
  description = "Where HTTPS may go: Discord, which means 0.0.0.0/0, for role run; for others registry, Secrets Manager and CloudWatch, each by address, prefix list or the security group of your VPC endpoints. Names are yours."
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
