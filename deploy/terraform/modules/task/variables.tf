variable "name" {
  description = "Name of the service; of its log group and roles too."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "name: \"${var.name}\" must be 1 to 40 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "files_image" {
  description = "Image of the container that writes the files: anything with /bin/sh, printf and chmod, such as busybox. With a tag or digest."
  type        = string
  validation {
    condition     = can(regex("(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.files_image)) && !endswith(var.files_image, ":latest")
    error_message = "files_image: \"${var.files_image}\" must end with a tag other than latest, or with a digest: what runs must be known."
  }
}

variable "files" {
  description = "Files to write: name => content, or secret (a valueFrom: the ARN of a secret, perhaps with :key:: behind it)."
  type = map(object({
    content = optional(string)
    secret  = optional(string)
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.files) : can(regex("^[a-z][a-z0-9.-]*$", name))])
    error_message = "files: names must be lower-case letters, digits, dots and hyphens: ${join(", ", keys(var.files))}."
  }
  validation {
    condition     = alltrue([for f in values(var.files) : (f.content == null) != (f.secret == null)])
    error_message = "files: each file needs content or secret, and not both."
  }
  validation {
    condition     = alltrue([for f in values(var.files) : f.content == null ? true : !strcontains(f.content, "PRIVATE KEY-----")])
    error_message = "files: a private key must come from a secret, not as content: that would stand in Terraform's state."
  }
  validation {
    condition     = alltrue([for f in values(var.files) : f.secret == null ? true : can(regex("^arn:[a-z-]+:secretsmanager:", f.secret))])
    error_message = "files: secret must be the ARN of a secret in Secrets Manager."
  }
}

variable "files_path" {
  description = "Where the program finds the files."
  type        = string
  default     = "/etc/drover"
  validation {
    condition     = startswith(var.files_path, "/")
    error_message = "files_path: \"${var.files_path}\" must be absolute."
  }
}

variable "folders" {
  description = "Volumes of the task that the program may write to: name => path."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for path in values(var.folders) : startswith(path, "/")])
    error_message = "folders: paths must be absolute: ${join(", ", values(var.folders))}."
  }
}

variable "secrets" {
  description = "Environment of the program that comes from secrets: name => valueFrom."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for v in values(var.secrets) : can(regex("^arn:[a-z-]+:secretsmanager:", v))])
    error_message = "secrets: each must be the ARN of a secret in Secrets Manager (perhaps with :key:: behind it), never the secret itself."
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

variable "image_repository_arns" {
  description = "ECR repositories that images are fetched from. Empty: none, the images are public."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.image_repository_arns : can(regex("^arn:[a-z-]+:ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9][a-z0-9._/-]*$", arn))])
    error_message = "image_repository_arns: each must be the ARN of one ECR repository, without *: ${join(", ", var.image_repository_arns)}."
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
