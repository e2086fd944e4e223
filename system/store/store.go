package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is a pool of connections to PostgreSQL, usually through PgBouncer in transaction mode. Open makes it. Any
// goroutine may use it. WithTenant is the only way to a tenant's rows.
type Store struct {
	pool *pgxpool.Pool
	o    Options
	hide *strings.Replacer // secrets of the URL
}

// Options say where the database is and how long to wait for it. Open checks them.
type Options struct {
	// URL is postgres://user:password@host:port/database?sslmode=…, or the same as key=value words. sslmode and the
	// other TLS words of libpq hold: verify-full is the one that knows whom it talks to. The login role must be a member of app_rw
	// and app_system.
	URL string
	// Name is what the server shows of these connections; default "drover".
	Name string
	// MaxConns bounds the pool, 1 to 1000; default 10. Too low: transactions wait for one another. Too high: with all
	// processes together, more than PgBouncer's pool serves at once, which helps nobody.
	MaxConns int
	// ConnectTimeout bounds one attempt to connect; default 5 s.
	ConnectTimeout time.Duration
	// StatementTimeout bounds each statement in the server, waits for locks included, and how long a transaction may stand idle; default 10 s. A
	// transaction as a whole has six times as much, and ConnectTimeout. Too low: a large
	// guild's member list fails again and again. Too high: a stuck transaction holds its locks for so long.
	StatementTimeout time.Duration
	// Attempts is how often a transaction is tried that the server ended over a serialization failure or a deadlock; default 5.
	Attempts int
	// OnRetry is called before each further attempt; may be nil. It must not block.
	OnRetry func(err error)
	Log     *slog.Logger // nil discards
}

// Defaults of Options.
const (
	DefaultMaxConns         = 10
	DefaultConnectTimeout   = 5 * time.Second
	DefaultStatementTimeout = 10 * time.Second
	DefaultAttempts         = 5
)

// ErrURL says that Options.URL is no address of a database. It does not repeat the URL, which may hold a password.
var ErrURL = errors.New("cannot be read: write it like postgres://user:password@host:6432/database?sslmode=verify-full")

// Open makes the pool. It does not connect: a database that is away is Ping's and the transactions' to say. ctx bounds nothing
// but Open itself.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("store: url: %w", ErrURL) // pgx' own words may hold what should not be seen
	}
	// PgBouncer gives each transaction any of its server connections, which know no statement that another one prepared.
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.ConnConfig.StatementCacheCapacity, c.ConnConfig.DescriptionCacheCapacity = 0, 0
	c.ConnConfig.ConnectTimeout = o.ConnectTimeout
	c.ConnConfig.RuntimeParams["application_name"] = o.Name
	c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerTypes(conn.TypeMap())
		return nil
	}
	c.MaxConns = int32(o.MaxConns)
	c.MinConns = 0
	c.MaxConnLifetime, c.MaxConnLifetimeJitter = time.Hour, 10*time.Minute // so that a pooler that was added gets its share
	c.MaxConnIdleTime = 5 * time.Minute
	s := &Store{o: o, hide: secrets(c.ConnConfig.Password)}
	if s.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return nil, s.clean("open", err)
	}
	return s, nil
}

func (o *Options) check() error {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&o.ConnectTimeout, DefaultConnectTimeout}, {&o.StatementTimeout, DefaultStatementTimeout}} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if o.MaxConns == 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	if o.Name == "" {
		o.Name = "drover"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.URL == "":
		return fmt.Errorf("store: url: there is none: %w", ErrURL)
	case o.MaxConns < 1 || o.MaxConns > 1000:
		return fmt.Errorf("store: max conns: %d is not between 1 and 1000", o.MaxConns)
	case o.ConnectTimeout < 0:
		return fmt.Errorf("store: connect timeout: %v is negative", o.ConnectTimeout)
	case o.StatementTimeout < time.Millisecond || o.StatementTimeout.Milliseconds() > math.MaxInt32:
		return fmt.Errorf("store: statement timeout: %v is not between 1ms and 24 days", o.StatementTimeout)
	case o.Attempts < 1:
		return fmt.Errorf("store: attempts: %d is below 1", o.Attempts)
	}
	return nil
}

// Ping asks the database for an answer, over the way that transactions take.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.ConnectTimeout)
	defer cancel()
	var one int
	if err := s.pool.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil {
		return s.clean("ping", err)
	}
	return nil
}

// Server names the database for logs: host, port and database, no credentials.
func (s *Store) Server() string {
	c := s.pool.Config().ConnConfig
	return fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database)
}

// Close ends the pool when the transactions under way have ended.
func (s *Store) Close() { s.pool.Close() }

// clean wraps an error once and takes the password out of its text, should the driver ever repeat it. What the error is stays: a
// password may be an ordinary word that stands in it by chance.
func (s *Store) clean(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", what, hidden{err, s.hide})
}

// secrets replaces a password in the forms in which it may stand in a text.
func secrets(password string) *strings.Replacer {
	if password == "" {
		return strings.NewReplacer()
	}
	return strings.NewReplacer(password, "******", url.QueryEscape(password), "******", url.PathEscape(password), "******")
}
