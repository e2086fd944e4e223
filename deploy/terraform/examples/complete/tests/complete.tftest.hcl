mock_provider "aws" {
  source = "../../mocks"
}

# Groups that can be told apart, for security-groups.txt.
override_resource {
  target = module.nats.aws_security_group.this
  values = { id = "sg-nats" }
}
override_resource {
  target = module.nats.aws_security_group.store
  values = { id = "sg-nats-store" }
}
override_resource {
  target = module.drover.aws_security_group.this
  values = { id = "sg-drover" }
}
override_resource {
  target = module.worker.aws_security_group.this
  values = { id = "sg-worker" }
}
override_resource {
  target = module.maintenance["migrate"].aws_security_group.this
  values = { id = "sg-migrate" }
}
override_resource {
  target = module.maintenance["retention"].aws_security_group.this
  values = { id = "sg-retention" }
}
override_resource {
  target = module.consumer.aws_security_group.this
  values = { id = "sg-consumer" }
}
override_resource {
  target = module.pgbouncer.aws_security_group.this
  values = { id = "sg-pgbouncer" }
}
override_resource {
  target = module.database.aws_security_group.this
  values = { id = "sg-database" }
}

variables {
  region             = "eu-central-1"
  vpc_id             = "vpc-1"
  private_subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]
  images             = { drover = "drover:1.0.0", nats = "nats:2-alpine", pgbouncer = "pgbouncer:1", files = "busybox:1" }
  ca_pem             = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
  route_ca_pem       = "-----BEGIN CERTIFICATE-----\nroutes\n-----END CERTIFICATE-----\n"
  database_ca_pem    = "-----BEGIN CERTIFICATE-----\nrds\n-----END CERTIFICATE-----\n"
}

run "wired" {
  assert {
    condition     = alltrue([for s in merge(aws_secretsmanager_secret.this, aws_secretsmanager_secret.nats_password) : s.kms_key_id == aws_kms_key.this.arn])
    error_message = "secrets: encrypted with the key"
  }
  assert {
    condition     = aws_ecs_cluster.this.configuration[0].managed_storage_configuration[0].fargate_ephemeral_storage_kms_key_id == aws_kms_key.this.arn
    error_message = "disks of tasks: encrypted with the key"
  }
  assert {
    condition     = aws_kms_key.this.enable_key_rotation && alltrue([for s in jsondecode(aws_kms_key.this.policy).Statement : can(s.Condition) || s.Principal == { AWS = "arn:aws:iam::123456789012:root" }])
    error_message = "key: rotates, and services may use it for this account only"
  }
  assert {
    condition     = toset(keys(aws_secretsmanager_secret.nats_password)) == module.nats.password_variables
    error_message = "secrets: one for each user at NATS"
  }
  assert {
    condition     = output.nats_hosts == ["nats-0.drover.internal", "nats-1.drover.internal", "nats-2.drover.internal"] && output.pgbouncer_host == "pgbouncer.drover.internal"
    error_message = "names: those that certificates need"
  }
}

# Its groups are those of security-groups-endpoints.txt.
run "with_endpoints_applications_and_operators" {
  variables {
    name                           = "variant"
    endpoints                      = { security_group_id = "sg-endpoints", s3_prefix_list_id = "pl-s3" }
    application_security_group_ids = { api = "sg-api" }
    operator_security_group_ids    = { operators = "sg-operators" }
    running                        = false
  }
}
