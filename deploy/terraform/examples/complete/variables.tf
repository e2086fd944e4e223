variable "region" {
  description = "AWS region."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: \"${var.region}\" must be written like eu-central-1."
  }
}

variable "name" {
  description = "Name of the ECS cluster and the instance of PostgreSQL, and the beginning of the secrets' names."
  type        = string
  default     = "drover"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,31}$", var.name))
    error_message = "name: \"${var.name}\" must be 1 to 32 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "vpc_id" {
  description = "The VPC, with DNS support and DNS host names."
  type        = string
  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id: \"${var.vpc_id}\" must begin with vpc-."
  }
}

variable "private_subnet_ids" {
  description = "Three private subnets in three zones, with a way to the internet through a NAT gateway."
  type        = list(string)
  validation {
    condition     = length(distinct(var.private_subnet_ids)) >= 3 && alltrue([for id in var.private_subnet_ids : startswith(id, "subnet-")])
    error_message = "private_subnet_ids: give at least three different subnets, each in a zone of its own; ids begin with subnet-."
  }
}

variable "endpoints" {
  description = "The VPC's endpoints: security group of those for ECR, Secrets Manager and CloudWatch, and prefix list of S3. null: there are none, and HTTPS goes through the NAT gateway."
  type = object({
    security_group_id = string
    s3_prefix_list_id = string
  })
  default = null
  validation {
    condition     = var.endpoints == null ? true : startswith(var.endpoints.security_group_id, "sg-") && startswith(var.endpoints.s3_prefix_list_id, "pl-")
    error_message = "endpoints: security_group_id begins with sg-, s3_prefix_list_id with pl-."
  }
}

variable "namespace" {
  description = "Private DNS name below which the services are found. Certificates need it."
  type        = string
  default     = "drover.internal"
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.namespace))
    error_message = "namespace: \"${var.namespace}\" must be a DNS name without a dot at its end."
  }
}

variable "images" {
  description = "Images, each with a tag or digest: drover, nats (the Alpine one), pgbouncer (with pg_isready), files (busybox or the like)."
  type = object({
    drover    = string
    nats      = string
    pgbouncer = string
    files     = string
  })
}

variable "image_repository_arns" {
  description = "ECR repositories that these images are fetched from. Empty: none, the images are public."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.image_repository_arns : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9][a-z0-9._/-]*$", arn))])
    error_message = "image_repository_arns: each must be the ARN of one ECR repository, without *: ${join(", ", var.image_repository_arns)}."
  }
}

variable "running" {
  description = "Whether anything runs. false for the first apply: secrets have no values yet."
  type        = bool
  default     = true
}

variable "nodes" {
  description = "Nodes of drover."
  type        = number
  default     = 3
  validation {
    condition     = var.nodes >= 1 && floor(var.nodes) == var.nodes
    error_message = "nodes: ${var.nodes} must be a whole number, at least 1."
  }
}

variable "workers" {
  description = "Workers (drover worker)."
  type        = number
  default     = 2
  validation {
    condition     = var.workers >= 0 && floor(var.workers) == var.workers
    error_message = "workers: ${var.workers} must be a whole number, at least 0."
  }
}

variable "ca_pem" {
  description = "Your CA, in PEM, that signed the certificates of NATS, drover and PgBouncer."
  type        = string
  validation {
    condition     = can(regex("^\\s*-----BEGIN CERTIFICATE-----", var.ca_pem)) && !strcontains(var.ca_pem, "PRIVATE KEY")
    error_message = "ca_pem: must be certificates in PEM, without a key."
  }
}

variable "route_ca_pem" {
  description = "A CA of its own, in PEM, that signed the certificate of NATS for routes and nothing else."
  type        = string
  validation {
    condition     = can(regex("^\\s*-----BEGIN CERTIFICATE-----", var.route_ca_pem)) && !strcontains(var.route_ca_pem, "PRIVATE KEY")
    error_message = "route_ca_pem: must be certificates in PEM, without a key."
  }
}

variable "database_ca_pem" {
  description = "RDS's CAs in your region, in PEM (REGION-bundle.pem)."
  type        = string
  validation {
    condition     = can(regex("^\\s*-----BEGIN CERTIFICATE-----", var.database_ca_pem)) && length(var.database_ca_pem) <= 16384
    error_message = "database_ca_pem: must be certificates in PEM, and 16 KiB at most: take the bundle of your region, not the global one."
  }
}

variable "environment" {
  description = "More of the nodes' configuration: DROVER_… => value, such as DROVER_DISCORD_INTENTS."
  type        = map(string)
  default     = {}
}

variable "metrics_client_security_group_ids" {
  description = "Who may read metrics and status page of nodes and workers: name => security group, such as Prometheus'."
  type        = map(string)
  default     = {}
}

variable "application_security_group_ids" {
  description = "Tasks of your own that may use the database through PgBouncer: name => security group."
  type        = map(string)
  default     = {}
  validation {
    condition     = !contains(keys(var.application_security_group_ids), "workers")
    error_message = "application_security_group_ids: \"workers\" is the name of drover's own."
  }
}

variable "operator_security_group_ids" {
  description = "Machines that operators work at: they reach NATS (drover shards, nats) and PostgreSQL itself (passwords of roles): name => security group. Empty: nobody does."
  type        = map(string)
  default     = {}
  validation {
    condition     = length(setintersection(keys(var.operator_security_group_ids), ["nodes", "workers", "consumer", "pgbouncer", "migrate", "retention"])) == 0
    error_message = "operator_security_group_ids: nodes, workers, consumer, pgbouncer, migrate and retention are names of drover's own."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the logs."
  type        = number
  default     = 30
  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400], var.log_retention_days)
    error_message = "log_retention_days: ${var.log_retention_days} must be 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}
