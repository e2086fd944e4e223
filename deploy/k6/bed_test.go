package main

import (
	"path/filepath"
	"testing"
)

func TestFree_wants_a_folder_with_room(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, folder string
		bytes        uint64
		want         bool
	}{
		{"room", dir, 1, true},
		{"too little", dir, 1 << 60, false},
		{"no such folder", filepath.Join(dir, "none"), 1, false},
	} {
		if got := free(tt.folder, tt.bytes); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// The rows fit the migrations, the copy has no row security, and the original has.
func TestBed_is_filled_with_and_without_row_security(t *testing.T) {
	b, err := newBed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := b.psql(t.Context(), b.OwnerURL(secured), seed); err != nil {
		t.Errorf("a second time: %v", err)
	}
	const rows = `SELECT concat_ws(' ', (SELECT count(*) FROM communities), (SELECT count(*) FROM profiles), (SELECT count(*) FROM eligibility_rules))`
	for _, tt := range []struct{ name, address, sql, want string }{
		{"rows", b.OwnerURL(secured), rows, "20 20000 60"},
		{"rows of the copy", b.OwnerURL(plain), rows, "20 20000 60"},
		{"without a tenant", b.PoolURL("app_rw", secured), rows, "0 0 0"},
		{"without row security", b.PoolURL("app_rw", plain), rows, "20 20000 60"},
		{"one tenant", b.PoolURL("app_rw", secured), "BEGIN; SET LOCAL app.current_tenant = '" + tenant(t, b) + "'; " + rows, "1 1000 3"},
	} {
		got, err := b.psql(t.Context(), tt.address, tt.sql)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func tenant(t *testing.T, b bed) string {
	t.Helper()
	id, err := b.psql(t.Context(), b.OwnerURL(secured), "SELECT app_community_id(1000001)")
	if err != nil {
		t.Fatal(err)
	}
	return id
}
