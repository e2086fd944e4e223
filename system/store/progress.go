package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Progress is the position up to which the reader of that name has dealt with its stream; 0 where nobody has noted any. It
// is no tenant's.
func (s *Store) Progress(ctx context.Context, name string) (int64, error) {
	var position int64
	err := s.pool.QueryRow(ctx, "SELECT position FROM worker_state WHERE name = $1", name).Scan(&position)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, s.clean("progress", err)
	}
	return position, nil
}

// SetProgress notes a position, unless a later one is noted already.
func (s *Store) SetProgress(ctx context.Context, name string, position int64) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO worker_state AS w (name, position) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position, updated_at = now() WHERE w.position < excluded.position`, name, position)
	if err != nil {
		return s.clean("progress", err)
	}
	return nil
}
