package store

import (
	"strings"
	"testing"
	"time"
)

// A SET with a community in it would be an entry of pg_stat_statements for each: PostgreSQL normalises constants of a SELECT alone.
func TestEnter_names_the_community_in_a_SELECT_only(t *testing.T) {
	s := &Store{o: Options{StatementTimeout: time.Second}}
	a, b := CommunityID(81384788765712384), CommunityID(81384788765712385)
	opening := s.enter(a)
	if s.enter(b) != strings.ReplaceAll(opening, a.String(), b.String()) || strings.Count(opening, a.String()) != 1 {
		t.Fatalf("got %q, want the community in it once", opening)
	}
	for _, one := range strings.Split(opening, "; ") {
		if strings.Contains(one, a.String()) && !strings.HasPrefix(one, "SELECT ") {
			t.Errorf("got %q, want a SELECT", one)
		}
	}
}
