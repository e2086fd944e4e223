# What the variables refuse.

mock_provider "aws" {
  source = "../../mocks"
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

run "refuses_short_retention" {
  command = plan
  variables {
    log_retention_days = 1
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_every_repository" {
  command = plan
  variables {
    image_repository_arns = ["arn:aws:ecr:eu-central-1:123456789012:repository/*"]
  }
  expect_failures = [var.image_repository_arns]
}

run "refuses_operators_under_the_name_of_nodes" {
  command = plan
  variables {
    operator_security_group_ids = { nodes = "sg-operators" }
  }
  expect_failures = [var.operator_security_group_ids]
}
