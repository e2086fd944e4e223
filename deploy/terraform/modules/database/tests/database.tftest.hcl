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

run "made" {
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_ingress_rule.clients : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ pgbouncer = ["sg-own", "sg-pgbouncer", null, null, null, "tcp", 5432, 5432], migrate = ["sg-own", "sg-migrate", null, null, null, "tcp", 5432, 5432] })
    error_message = "ingress: port 5432 from the named groups only"
  }
  assert {
    condition     = !aws_db_instance.this.publicly_accessible
    error_message = "the instance must not be public"
  }
  assert {
    condition     = aws_db_instance.this.vpc_security_group_ids == toset(["sg-own"]) && aws_db_subnet_group.this.subnet_ids == toset(var.subnet_ids)
    error_message = "the instance: only our own group, in the private subnets"
  }
  assert {
    condition     = { for p in aws_db_parameter_group.this.parameter : p.name => p.value }["rds.force_ssl"] == "1"
    error_message = "TLS must be forced"
  }
  assert {
    condition     = { for p in aws_db_parameter_group.this.parameter : p.name => p.value }["ssl_min_protocol_version"] == "TLSv1.2" && { for p in aws_db_parameter_group.this.parameter : p.name => p.value }["rds.accepted_password_auth_method"] == "scram"
    error_message = "no old TLS, and no MD5"
  }
  assert {
    condition     = aws_db_parameter_group.this.family == "postgres15" && aws_db_instance.this.parameter_group_name == aws_db_parameter_group.this.name
    error_message = "the instance must have the parameters"
  }
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == var.kms_key_arn
    error_message = "storage must be encrypted with the key"
  }
  assert {
    condition     = aws_db_instance.this.performance_insights_kms_key_id == var.kms_key_arn
    error_message = "Performance Insights must be encrypted with the key"
  }
  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null && aws_db_instance.this.master_user_secret_kms_key_id == var.kms_key_arn
    error_message = "the owner's password must be managed by RDS, and encrypted with the key"
  }
  assert {
    condition     = aws_db_instance.this.backup_retention_period == 14 && !aws_db_instance.this.delete_automated_backups
    error_message = "backups for 14 days"
  }
  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot
    error_message = "no deletion by mistake"
  }
  assert {
    condition     = aws_db_instance.this.multi_az
    error_message = "a second instance"
  }
  assert {
    condition     = alltrue([for name in ["postgresql", "upgrade"] : aws_cloudwatch_log_group.this[name].retention_in_days == 30 && aws_cloudwatch_log_group.this[name].kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.this[name].name == "/aws/rds/instance/drover/${name}"])
    error_message = "logs: 30 days, encrypted with the key"
  }
}
