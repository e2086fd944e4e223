# What the variables refuse.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                     = "drover"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-a", "subnet-b"]
  cluster_arn              = "arn:aws:ecs:eu-central-1:123456789012:cluster/drover"
  image                    = "drover:1.0.0"
  files_image              = "busybox:1"
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/k"
  discord_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf"
  nats = {
    urls                   = ["tls://nats-0.drover.internal:4222", "tls://nats-1.drover.internal:4222"]
    security_group_id      = "sg-nats"
    ca_pem                 = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
    user                   = "node"
    password_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:node-AbCdEf"
    certificate_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
  }
  https_egress                      = { cidr_ipv4 = { discord = "0.0.0.0/0" } }
  metrics_client_security_group_ids = { prometheus = "sg-prometheus" }
}

run "refuses_a_token_in_clear" {
  command = plan
  variables {
    environment = { DROVER_DISCORD_TOKEN = "MTA.x.y" }
  }
  expect_failures = [var.environment]
}


run "refuses_a_token_for_a_secret" {
  command = plan
  variables {
    discord_token_secret_arn = "MTA.x.y"
  }
  expect_failures = [var.discord_token_secret_arn]
}


run "refuses_a_node_without_a_token" {
  command = plan
  variables {
    discord_token_secret_arn = null
  }
  expect_failures = [aws_ecs_task_definition.this]
}


run "refuses_nats_in_clear" {
  command = plan
  variables {
    nats = {
      urls                   = ["nats://nats-0.drover.internal:4222"]
      security_group_id      = "sg-nats"
      ca_pem                 = ""
      user                   = "node"
      password_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:node-AbCdEf"
      certificate_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
    }
  }
  expect_failures = [var.nats]
}


run "refuses_a_drain_that_fargate_cuts_short" {
  command = plan
  variables {
    shutdown_timeout_seconds = 115
  }
  expect_failures = [var.shutdown_timeout_seconds]
}


run "refuses_addresses_for_metrics" {
  command = plan
  variables {
    metrics_client_security_group_ids = { all = "0.0.0.0/0" }
  }
  expect_failures = [var.metrics_client_security_group_ids]
}


run "refuses_a_schedule_for_nodes" {
  command = plan
  variables {
    schedule = "rate(1 day)"
  }
  expect_failures = [var.schedule]
}
