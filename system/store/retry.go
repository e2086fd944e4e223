package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Class is what an error of the database means for whoever has to decide what happens next.
type Class string

// The classes of errors. They are values of a metric's label.
const (
	// Permanent: this very change will never be taken: a constraint, a value that no column holds.
	Permanent Class = "permanent"
	// Conflict: a serialization failure or a deadlock that outlived all attempts.
	Conflict Class = "conflict"
	// Setup: the schema or the rights are not as they should be: migrations are missing, or a grant. Somebody has to act.
	Setup Class = "setup"
	// Away: everything else: no connection, a server that stops, a time-out. Later it works.
	Away Class = "away"
)

// ClassOf says which class an error of this package's methods is of.
func ClassOf(err error) Class {
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) != 5 {
		return Away
	}
	switch {
	case isConflict(err):
		return Conflict
	case e.Code[:2] == "22", e.Code[:2] == "23", e.Code == "21000":
		return Permanent
	case e.Code[:2] == "42", e.Code[:2] == "28", e.Code[:2] == "3D", e.Code[:2] == "3F", e.Code[:2] == "0A":
		return Setup
	}
	return Away
}

// Reason is an error of the database in words that hold no value of a row: the server's message and code. Of an error that
// is not the server's it is the error's text.
func Reason(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := e.Message + " (SQLSTATE " + e.Code + ")" // never Detail: it repeats the row
	if e.ConstraintName != "" {
		text += ", constraint " + e.ConstraintName
	}
	return text
}

// isConflict reports whether the server ended a transaction that works when it is tried again.
func isConflict(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// Bounds of the pause between two attempts of a transaction.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = 200 * time.Millisecond
)

// pause waits before another attempt, for a random part of a time that doubles: two transactions that met once
// should not meet again. It returns ctx's cause where that ends first.
func pause(ctx context.Context, attempt int) error {
	most := min(firstPause<<min(attempt, 10), maxPause)
	t := time.NewTimer(most/4 + rand.N(most))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
