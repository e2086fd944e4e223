package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Tx is one transaction of one tenant, as the role app_rw: it sees and changes the rows of its community and no
// others. It belongs to the function that WithTenant gave it to, and to one goroutine.
type Tx struct {
	tx        pgx.Tx
	community string
}

// The roles of a transaction. The login role has the rights of neither until it says which.
const (
	roleTenant = "SET LOCAL ROLE app_rw"
	roleSystem = "SET LOCAL ROLE app_system"
)

// WithTenant runs fn in one transaction of a community, and commits when fn returns nil. It is the only way to a tenant's
// rows: settings and role hold for the transaction and are gone with it, so nothing is left to the next client of a
// pooled connection. fn may run several times: the whole transaction is tried again over a serialization failure
// or a deadlock, and over nothing else. After an error of the connection it is not known whether the transaction was committed.
func (s *Store) WithTenant(ctx context.Context, community Community, fn func(ctx context.Context, tx *Tx) error) error {
	return s.transact(ctx, s.enter(community)+"; "+roleTenant, func(ctx context.Context, tx pgx.Tx) error {
		return fn(ctx, &Tx{tx: tx, community: community.String()})
	})
}

// Community is the tenant's id as text.
func (t *Tx) Community() string { return t.community }

// Exec runs a statement and returns how many rows it touched.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

// Rows are the rows of a query, to be closed or read to their end.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Query runs a query.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	return t.tx.Query(ctx, sql, args...)
}

// ErrNoRows means that a query of one row found none.
var ErrNoRows = errors.New("store: no such row")

// QueryRow reads one row into dest, or returns ErrNoRows.
func (t *Tx) QueryRow(ctx context.Context, sql string, args, dest []any) error {
	err := t.tx.QueryRow(ctx, sql, args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoRows
	}
	return err
}

// Audit writes audit rows in this transaction, as the role app_system, which may do nothing else. Afterwards the
// transaction is the tenant's again.
func (t *Tx) Audit(ctx context.Context, entries ...Audit) error {
	b := &pgx.Batch{}
	if err := queueAudit(b, t.community, entries); err != nil {
		return err
	}
	b.Queue(roleTenant)
	return t.tx.SendBatch(ctx, b).Close()
}

// enter begins a transaction and makes it the tenant's, as far as the login role goes. All of it ends with the transaction. It is
// one text without parameters, so that it takes one round trip with BEGIN: what stands in it is made here, hexadecimal and digits.
// The tenant is set by a SELECT, whose constants pg_stat_statements leaves out: by SET each community would be an entry of its own there.
func (s *Store) enter(community Community) string {
	// A process that stands still must not hold its locks for ever.
	return fmt.Sprintf("%s; SELECT set_config('app.current_tenant', '%s', true); SET LOCAL statement_timeout = %[3]d; "+
		"SET LOCAL idle_in_transaction_session_timeout = %[3]d", begin, community, s.o.StatementTimeout.Milliseconds())
}

// begin opens a transaction of no tenant.
const begin = "BEGIN"

// transact runs fn in a transaction that opening begins.
func (s *Store) transact(ctx context.Context, opening string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, opening, fn)
		if err == nil {
			return nil
		}
		if attempt >= s.o.Attempts || !isConflict(err) {
			return err
		}
		if s.o.OnRetry != nil {
			s.o.OnRetry(err)
		}
		if waited := pause(ctx, attempt); waited != nil {
			return fmt.Errorf("%w (after: %w)", waited, err)
		}
	}
}

// statements is how many statements that take all of their time a transaction has time for.
const statements = 6

func (s *Store) once(ctx context.Context, opening string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	// The server's limits end nothing where its answer never comes: behind a host that lost its power a connection falls silent, and
	// the system finds out after a quarter of an hour at best.
	ctx, cancel := s.limit(ctx)
	defer cancel()
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: opening})
	if err != nil {
		return s.clean("begin", err)
	}
	// On its way out of a panic too. Where the connection is broken there is nothing to roll back.
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.ConnectTimeout)
		defer cancel()
		_ = tx.Rollback(ending)
	}()
	if err := fn(ctx, tx); err != nil {
		return s.clean("transaction", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return s.clean("commit", err)
	}
	return nil
}

// limit bounds a transaction as a whole.
func (s *Store) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.ConnectTimeout+statements*s.o.StatementTimeout)
}
