package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Census is how many rows there are, of all tenants together.
type Census struct {
	Communities int // active ones
	Stale       int // those of them that wait to be reconciled
	Profiles    int // of active members
	Audits      int
}

// Census counts over all tenants. Only a Store whose login role is app_admin, or a member of it that inherits, can.
func (s *Store) Census(ctx context.Context) (c Census, err error) {
	err = s.transact(ctx, begin+"; SET LOCAL app.is_admin = 'true'", func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE active), count(*) FILTER (WHERE active AND stale_since IS NOT NULL),
			(SELECT count(*) FROM profiles WHERE active), (SELECT count(*) FROM audit_logs) FROM communities`).
			Scan(&c.Communities, &c.Stale, &c.Profiles, &c.Audits)
	})
	return c, err
}
