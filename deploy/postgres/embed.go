// Package postgres holds drover's database schema: numbered migrations, which
// package store runs as the owner, straight to PostgreSQL.
package postgres

import "embed"

// Migrations holds migrations/NNNNN_name.sql in goose's format. A migration
// that was released is never changed; the next one mends it.
//
//go:embed migrations/*.sql
var Migrations embed.FS
