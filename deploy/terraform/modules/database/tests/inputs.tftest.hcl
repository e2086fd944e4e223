# What the variables refuse.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                      = "drover"
  vpc_id                    = "vpc-1"
  subnet_ids                = ["subnet-a", "subnet-b"]
  client_security_group_ids = { pgbouncer = "sg-pgbouncer", migrate = "sg-migrate" }
  kms_key_arn               = "arn:aws:kms:eu-central-1:123456789012:key/k"
}

run "refuses_addresses" {
  command = plan
  variables {
    client_security_group_ids = { everybody = "0.0.0.0/0" }
  }
  expect_failures = [var.client_security_group_ids]
}


run "refuses_few_backups" {
  command = plan
  variables {
    backup_retention_days = 0
  }
  expect_failures = [var.backup_retention_days]
}


run "refuses_old_postgresql" {
  command = plan
  variables {
    engine_version = "14"
  }
  expect_failures = [var.engine_version]
}
