variable "name" {
  description = "Name of the servers; they are called NAME-0, NAME-1 and NAME-2."
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
  description = "Private subnets, one for each server."
  type        = list(string)
  validation {
    condition     = length(distinct(var.subnet_ids)) >= 3 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: give at least three different subnets, each in a zone of its own; ids begin with subnet-."
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
  description = "Image of nats-server, with wget for the health check: the Alpine one. With a tag or digest."
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
  default     = 4096
  validation {
    condition     = var.cpu == 256 ? contains([512, 1024, 2048], var.memory) : var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu && var.memory % 1024 == 0
    error_message = "memory: Fargate has 512, 1024 or 2048 for 256 CPU units, else whole GiB from twice to eight times the CPU units; got ${var.memory} for ${var.cpu}."
  }
}

variable "running" {
  description = "Whether the servers run. false before the secrets have values."
  type        = bool
  default     = true
}

variable "ca_pem" {
  description = "CA that signed the certificates of servers and clients, in PEM."
  type        = string
  validation {
    condition     = can(regex("^\\s*-----BEGIN CERTIFICATE-----", var.ca_pem)) && !strcontains(var.ca_pem, "PRIVATE KEY") && length(var.ca_pem) <= 16384
    error_message = "ca_pem: must be certificates in PEM, without a key, and 16 KiB at most (a task definition has room for 64)."
  }
}

variable "certificate_secret_arn" {
  description = "Secret with the servers' certificate as JSON with certificate and key: for all three names."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:", var.certificate_secret_arn))
    error_message = "certificate_secret_arn: must be the ARN of a secret in Secrets Manager, never the secret itself."
  }
}

variable "route_ca_pem" {
  description = "CA of the certificates for routes, in PEM: one that signs nothing else, since whoever opens a route sees everything."
  type        = string
  validation {
    condition     = can(regex("^\\s*-----BEGIN CERTIFICATE-----", var.route_ca_pem)) && !strcontains(var.route_ca_pem, "PRIVATE KEY") && length(var.route_ca_pem) <= 16384
    error_message = "route_ca_pem: must be certificates in PEM, without a key, and 16 KiB at most (a task definition has room for 64)."
  }
}

variable "route_certificate_secret_arn" {
  description = "Secret with the servers' certificate for routes as JSON with certificate and key: for all three names, for servers and clients alike, since routes are both."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:", var.route_certificate_secret_arn))
    error_message = "route_certificate_secret_arn: must be the ARN of a secret in Secrets Manager, never the secret itself."
  }
}

variable "password_secret_arns" {
  description = "Secrets with the users' passwords: variable in deploy/nats/accounts.conf => secret. Exactly those of output password_variables."
  type        = map(string)
  validation {
    condition     = alltrue([for v in values(var.password_secret_arns) : can(regex("^arn:[a-z-]+:secretsmanager:", v))])
    error_message = "password_secret_arns: each must be the ARN of a secret in Secrets Manager, never the password itself."
  }
}

variable "client_security_group_ids" {
  description = "Who may come to port 4222, and nobody else: name => security group. Nodes, workers, operators."
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
  description = "Key that encrypts file systems, log group and secrets."
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
