package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"go.k6.io/k6/js/modules"
)

// Bounds, so that a run ends whatever happens to the database.
const (
	connectTimeout     = 10 * time.Second
	transactionTimeout = 10 * time.Second
)

// root is what a script imports. k6 makes an instance of it for each virtual user.
type root struct{}

// NewModuleInstance implements modules.Module.
func (root) NewModuleInstance(vu modules.VU) modules.Instance { return instance{vu} }

type instance struct{ vu modules.VU }

// Exports implements modules.Instance: connect(url).
func (i instance) Exports() modules.Exports {
	return modules.Exports{Named: map[string]any{"connect": i.connect}}
}

// connection belongs to one virtual user. Scripts see its methods in lower case.
type connection struct {
	vu   modules.VU
	conn *pgx.Conn
	// Milliseconds, how long connecting and logging in took.
	Ms float64 `js:"ms"`
}

// connect opens a connection, as drover's own store does: PgBouncer gives each
// transaction any of its server connections, so nothing is prepared.
func (i instance) connect(url string) (*connection, error) {
	ctx := i.vu.Context()
	if ctx == nil {
		return nil, errors.New("connect: call it from setup() or a virtual user's function, not while the script is loaded")
	}
	c, err := pgx.ParseConfig(url)
	if err != nil { // whose text may hold the password
		return nil, errors.New("connect: the URL cannot be read: write it like postgres://user:password@host:6432/database?sslmode=disable")
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	c.RuntimeParams["application_name"] = "drover-loadtest"
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	start := time.Now()
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	return &connection{i.vu, conn, ms(time.Since(start))}, nil
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// answer is what a transaction found.
type answer struct {
	Rows []map[string]any `js:"rows"`
	Ms   float64          `js:"ms"` // from before BEGIN until COMMIT was answered
}

// All reports whether each row has this text in a column.
func (a *answer) All(column, text string) bool {
	for _, row := range a.Rows {
		if row[column] != text {
			return false
		}
	}
	return true
}

// Transaction runs one statement in a transaction of its own: BEGIN, the tenant's setting, the
// statement and COMMIT, sent together, so that it takes one round trip and holds a server connection no longer than the
// server works. Without a tenant ("") there is no setting. After an error Lost says whether the connection is of any more use.
func (c *connection) Transaction(tenant, sql string, args ...any) (*answer, error) {
	ctx, cancel := context.WithTimeout(c.vu.Context(), transactionTimeout)
	defer cancel()
	start := time.Now()
	rows, err := c.transact(ctx, tenant, sql, args)
	if err != nil {
		return nil, err
	}
	return &answer{rows, ms(time.Since(start))}, nil
}

func (c *connection) transact(ctx context.Context, tenant, sql string, args []any) ([]map[string]any, error) {
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	if tenant != "" {
		if !uuid.MatchString(tenant) { // it becomes text of a statement
			return nil, fmt.Errorf("transaction: the tenant %q is not a UUID in small letters", tenant)
		}
		b.Queue("SET LOCAL app.current_tenant = '" + tenant + "'")
	}
	var rows []map[string]any
	b.Queue(sql, args...).Query(func(found pgx.Rows) (err error) {
		rows, err = pgx.CollectRows(found, pgx.RowToMap)
		return err
	})
	b.Queue("COMMIT")
	err := c.conn.SendBatch(ctx, b).Close()
	if err != nil && !c.conn.IsClosed() && c.conn.PgConn().TxStatus() != 'I' { // what failed skipped COMMIT
		if _, undone := c.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK"); undone != nil {
			_ = c.conn.Close(context.WithoutCancel(ctx))
		}
	}
	return rows, err
}

// Lost reports whether the connection is gone.
func (c *connection) Lost() bool { return c.conn.IsClosed() }

// Close ends the connection.
func (c *connection) Close() error { return c.conn.Close(context.Background()) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
