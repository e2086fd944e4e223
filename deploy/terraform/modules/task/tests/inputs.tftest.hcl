# What the variables refuse.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "thing"
  files_image = "busybox:1"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  files = {
    "a.conf" = { content = "a text with $HOME and 'quotes'" }
    "b.pem"  = { secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf:key::" }
  }
  folders               = { state = "/var/lib/thing" }
  secrets               = { THING_PASSWORD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:password-AbCdEf" }
  image_repository_arns = ["arn:aws:ecr:eu-central-1:123456789012:repository/thing"]
}

run "refuses_a_key_in_clear" {
  command = plan
  variables {
    files = { "server.key" = { content = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----" } }
  }
  expect_failures = [var.files]
}


run "refuses_a_secret_in_clear" {
  command = plan
  variables {
    secrets = { THING_PASSWORD = "hunter2" }
  }
  expect_failures = [var.secrets]
}


run "refuses_short_retention" {
  command = plan
  variables {
    log_retention_days = 7
  }
  expect_failures = [var.log_retention_days]
}


run "refuses_latest" {
  command = plan
  variables {
    files_image = "busybox:latest"
  }
  expect_failures = [var.files_image]
}


run "refuses_every_repository" {
  command = plan
  variables {
    image_repository_arns = ["arn:aws:ecr:eu-central-1:123456789012:repository/*"]
  }
  expect_failures = [var.image_repository_arns]
}
