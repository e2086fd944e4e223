# What the variables refuse.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "pgbouncer"
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-a", "subnet-b"]
  cluster_arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/drover"
  namespace   = { id = "ns-1", name = "drover.internal" }
  image       = "pgbouncer:1"
  files_image = "busybox:1"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  database = {
    host              = "drover.rds.amazonaws.com"
    port              = 5432
    name              = "drover"
    ca_pem            = "-----BEGIN CERTIFICATE-----\nrds\n-----END CERTIFICATE-----\n"
    security_group_id = "sg-database"
  }
  users_secret_arn          = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:users-AbCdEf"
  certificate_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
  client_security_group_ids = { tasks = "sg-tasks", workers = "sg-workers" }
  https_egress              = { cidr_ipv4 = { internet = "0.0.0.0/0" }, prefix_list_ids = { s3 = "pl-s3" }, security_group_ids = { endpoints = "sg-endpoints" } }
}

run "refuses_addresses" {
  command = plan
  variables {
    client_security_group_ids = { everybody = "0.0.0.0/0" }
  }
  expect_failures = [var.client_security_group_ids]
}


run "refuses_a_password_for_a_secret" {
  command = plan
  variables {
    users_secret_arn = "\"app_worker\" \"hunter2\""
  }
  expect_failures = [var.users_secret_arn]
}
