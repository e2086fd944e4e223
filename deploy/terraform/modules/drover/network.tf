resource "aws_security_group" "this" {
  name_prefix = "${var.name}-"
  description = "drover ${var.role}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = var.name })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = var.metrics_client_security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = "Metrics and status page, for ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 9090
  to_port                      = 9090
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "nats" {
  count = local.needs_nats ? 1 : 0

  security_group_id            = aws_security_group.this.id
  description                  = "NATS"
  referenced_security_group_id = var.nats.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 4222
  to_port                      = 4222
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "database" {
  count = local.needs_database ? 1 : 0

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL or PgBouncer"
  referenced_security_group_id = var.database.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https_address" {
  for_each = var.https_egress.cidr_ipv4

  security_group_id = aws_security_group.this.id
  description       = "HTTPS to ${each.key}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https_prefix_list" {
  for_each = var.https_egress.prefix_list_ids

  security_group_id = aws_security_group.this.id
  description       = "HTTPS to ${each.key}"
  prefix_list_id    = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https_group" {
  for_each = var.https_egress.security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = "HTTPS to ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = var.tags
}
