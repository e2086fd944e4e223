package store

import (
	"crypto/sha256"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// Community is the id of a community, the tenant that a row belongs to: a UUID
// that is computed from the guild's id. CommunityID makes one; the zero value is
// no community. It is a value and safe for concurrent use.
type Community [16]byte

// CommunityID is the id of guildID's community. It is computed and not looked
// up, so that the tenant is known before the first query; app_community_id is
// the same in SQL. Another formula would be another tenant: it never changes.
func CommunityID(guildID uint64) Community {
	sum := sha256.Sum256([]byte("discord guild:" + strconv.FormatUint(guildID, 10)))
	c := Community(sum[:16])
	c[6] = c[6]&0x0f | 0x80 // version 8: made by a rule of one's own
	c[8] = c[8]&0x3f | 0x80
	return c
}

// String is the usual form of a UUID, as app.current_tenant takes it.
func (c Community) String() string { return pgtype.UUID{Bytes: c, Valid: true}.String() }

// UUIDValue gives pgx the id as a parameter of type uuid.
func (c Community) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: c, Valid: true}, nil }

// ScanUUID reads the id from a column of type uuid. NULL is an error.
func (c *Community) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return errors.New("store: a community's id is NULL")
	}
	*c = v.Bytes
	return nil
}

// registerTypes tells a connection that a Community is a uuid. Without statements
// that are prepared, pgx has to choose the type of a parameter by itself.
func registerTypes(m *pgtype.Map) { m.RegisterDefaultPgType(Community{}, "uuid") }
