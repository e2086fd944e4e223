package messages

import "testing"

func TestLifeCycle_gaps_of_one_connection_are_apart(t *testing.T) {
	ids := map[string]string{}
	for name, gap := range map[string]GapData{
		"one":            {Reason: GapStreamLost, From: 1, To: 2},
		"a later one":    {Reason: GapStreamLost, From: 1, To: 3},
		"another reason": {Reason: GapSessionLost, From: 1, To: 2},
	} {
		l := LifeCycle{Session: "s", Seq: 7, Connection: 3, Gap: &gap}
		id := l.Event().ID
		if other, known := ids[id]; known {
			t.Errorf("%s has the id of %s, and JetStream would drop it", name, other)
		}
		ids[id] = name
		if again := l.Event().ID; again != id {
			t.Errorf("%s: told again under another id", name)
		}
	}
}

func TestGapReasons_are_all_of_them(t *testing.T) {
	for _, reason := range []string{
		"session_lost", "session_expired", "identity_changed", "spool_overflow", "spool_stranded", "shed", "stream_lost",
	} {
		found := false
		for _, known := range GapReasons {
			found = found || known == reason
		}
		if !found {
			t.Errorf("%s is missing", reason)
		}
	}
}
