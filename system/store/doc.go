// Package store keeps communities and their members in PostgreSQL: migrations,
// and transactions of one tenant each, whose rows no other tenant can reach.
package store
