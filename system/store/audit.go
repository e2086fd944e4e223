package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Audit is one row of the audit log. Its id is made by whoever writes it: the role that inserts can read nothing
// back.
type Audit struct {
	ID        string    // a UUID
	At        time.Time // of what happened
	ActorType string    // user, system or admin
	Actor     string    // who, in words or as an id
	Action    string    // what: profile.join
	Target    string    // to whom or what: an id; empty: none
	Metadata  map[string]any
}

// queueAudit queues the rows, as app_system. The transaction has that role afterwards.
func queueAudit(b *pgx.Batch, community string, entries []Audit) error {
	if len(entries) == 0 {
		return nil
	}
	rows := make([]auditRow, len(entries))
	for i, e := range entries {
		meta := e.Metadata
		if meta == nil {
			meta = map[string]any{}
		}
		rows[i] = auditRow{e.ID, e.At.UTC(), e.ActorType, e.Actor, e.Action, nil, meta}
		if e.Target != "" {
			rows[i].Target = &entries[i].Target
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("store: audit: metadata: %w", err)
	}
	b.Queue(roleSystem)
	b.Queue(`INSERT INTO audit_logs (community_id, id, at, actor_type, actor, action, target, metadata)
		SELECT $1::uuid, r.id, r.at, r.actor_type, r.actor, r.action, r.target, r.metadata
		FROM jsonb_to_recordset($2::jsonb) AS r (id uuid, at timestamptz, actor_type text, actor text, action text, target text, metadata jsonb)`,
		community, string(text))
	return nil
}

// auditRow is an Audit as the statement reads it.
type auditRow struct {
	ID        string         `json:"id"`
	At        time.Time      `json:"at"`
	ActorType string         `json:"actor_type"`
	Actor     string         `json:"actor"`
	Action    string         `json:"action"`
	Target    *string        `json:"target"`
	Metadata  map[string]any `json:"metadata"`
}
