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
	err = s.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue("SELECT set_config('app.is_admin', 'true', true)")
		b.Queue(`SELECT count(*) FILTER (WHERE active), count(*) FILTER (WHERE active AND stale_since IS NOT NULL),
			(SELECT count(*) FROM profiles WHERE active), (SELECT count(*) FROM audit_logs) FROM communities`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&c.Communities, &c.Stale, &c.Profiles, &c.Audits) })
		return tx.SendBatch(ctx, b).Close()
	})
	return c, err
}
