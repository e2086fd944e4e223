// Package pgbouncer holds the configuration of PgBouncer as it is shipped, so
// that tests and the demonstration run the very same.
package pgbouncer

import _ "embed" // the files below

// Config is pgbouncer.ini.
//
//go:embed pgbouncer.ini
var Config string

// TLS is tls.ini, which Config can include.
//
//go:embed tls.ini
var TLS string

// AuthQuery is auth_query.sql, for a superuser to run in each database.
//
//go:embed auth_query.sql
var AuthQuery string
