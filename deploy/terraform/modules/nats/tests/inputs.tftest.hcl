# What the variables refuse.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                         = "nats"
  vpc_id                       = "vpc-1"
  subnet_ids                   = ["subnet-a", "subnet-b", "subnet-c"]
  cluster_arn                  = "arn:aws:ecs:eu-central-1:123456789012:cluster/drover"
  namespace                    = { id = "ns-1", name = "drover.internal" }
  image                        = "nats:2-alpine"
  files_image                  = "busybox:1"
  kms_key_arn                  = "arn:aws:kms:eu-central-1:123456789012:key/k"
  ca_pem                       = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
  certificate_secret_arn       = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
  route_ca_pem                 = "-----BEGIN CERTIFICATE-----\nroutes\n-----END CERTIFICATE-----\n"
  route_certificate_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:route-AbCdEf"
  # Whatever users deploy/nats/accounts.conf has.
  password_secret_arns      = { for v in toset(flatten(regexall("\\$(DROVER_[A-Z_]+_PASSWORD)", file("../../../nats/accounts.conf")))) : v => "arn:aws:secretsmanager:eu-central-1:123456789012:secret:${v}" }
  client_security_group_ids = { nodes = "sg-nodes", workers = "sg-workers" }
  https_egress              = { cidr_ipv4 = { internet = "0.0.0.0/0" }, prefix_list_ids = { s3 = "pl-s3" }, security_group_ids = { endpoints = "sg-endpoints" } }
}

run "refuses_two_zones" {
  command = plan
  variables {
    subnet_ids = ["subnet-a", "subnet-b", "subnet-b"]
  }
  expect_failures = [var.subnet_ids]
}


run "refuses_a_password_in_clear" {
  command = plan
  variables {
    password_secret_arns = { DROVER_NODE_PASSWORD = "hunter2" }
  }
  expect_failures = [var.password_secret_arns]
}


run "refuses_a_user_without_a_password" {
  command = plan
  variables {
    password_secret_arns = { DROVER_NODE_PASSWORD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:node-AbCdEf" }
  }
  expect_failures = [aws_ecs_task_definition.this["0"], aws_ecs_task_definition.this["1"], aws_ecs_task_definition.this["2"]]
}
