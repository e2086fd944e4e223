package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Retention says how long what is kept for its own sake is kept.
type Retention struct {
	// AuditMonths is the age in months at which a month of audit rows goes, as a
	// whole, 1 to 1200: counted from the month's end. Too low: what an audit would
	// ask for is gone.
	AuditMonths int
	// EventDays is the age in days at which the id of an applied event is
	// forgotten, 1 to 3650. Too low, which is below the age of what a stream can
	// still deliver: an event could be applied twice.
	EventDays int
}

// Retained is what Retain did.
type Retained struct {
	Months []string // names of the dropped partitions
	Events int64    // ids that were forgotten
}

// Retain drops what is older than r says, and makes the partitions of the audit
// log for the next three months. It connects as Migrator does, and as app_owner:
// nobody else can do it. Run it daily; twice does no harm. Beside an error it
// returns what was done before.
func (m Migrator) Retain(ctx context.Context, r Retention) (Retained, error) {
	var done Retained
	if r.AuditMonths < 1 || r.AuditMonths > 1200 {
		return done, fmt.Errorf("store: retain: %d months of audit rows: must be 1 to 1200", r.AuditMonths)
	}
	if r.EventDays < 1 || r.EventDays > 3650 {
		return done, fmt.Errorf("store: retain: %d days of applied events: must be 1 to 3650", r.EventDays)
	}
	// One after the other: dropping a month locks the audit log until its transaction ends, and forgetting events may take long.
	err := m.as(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		err := asOwner(ctx, conn, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, "SELECT audit_retain(make_interval(months => $1))", r.AuditMonths)
			if err == nil {
				done.Months, err = pgx.CollectRows(rows, pgx.RowTo[string])
			}
			return err
		})
		if err != nil {
			done.Months = nil
			return err
		}
		return asOwner(ctx, conn, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT applied_events_retain(make_interval(days => $1))", r.EventDays).Scan(&done.Events)
		})
	})
	return done, err
}

// asOwner calls f in a transaction as app_owner.
func asOwner(ctx context.Context, conn *pgx.Conn, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL ROLE app_owner"); err != nil {
			return err
		}
		return f(tx)
	})
}

// as calls f with a connection straight to PostgreSQL.
func (m Migrator) as(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	c, err := m.config()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return m.explain(c, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := settle(ctx, conn); err != nil {
		return m.explain(c, err)
	}
	return m.explain(c, f(ctx, conn))
}

// config is the connection's, with everything but secrets fit for errors.
func (m Migrator) config() (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(m.URL)
	if m.URL == "" || err != nil {
		return nil, fmt.Errorf("store: migrate: the address %w", ErrURL) // pgx' own words may hold a password
	}
	c.RuntimeParams["application_name"] = "drover migrate"
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		// Others say that something to drop was not there.
		if m.Notice != nil && (n.Routine == noticeRaised || n.SeverityUnlocalized == "WARNING") {
			m.Notice(n.Message)
		}
	}
	return c, nil
}
