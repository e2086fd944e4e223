package actors

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"drover/system/gateway"
)

// closed is the reason of a shard's failure after a close code.
func closed(code int) *failure {
	return &failure{fmt.Errorf("shard 3: %w", &gateway.CloseError{Code: code, Class: gateway.ClassOf(code)})}
}

func TestDecide_over_every_close_code(t *testing.T) {
	fatal := map[int]verdict{4004: stopBot, 4012: stopBot, 4013: stopBot, 4014: stopBot, 4010: stopShard, 4011: stopShard}
	for code := 1000; code < 5000; code++ {
		want := restart
		if v, ok := fatal[code]; ok {
			want = v
		}
		if got, _ := decide(closed(code)); got != want {
			t.Errorf("close code %d: got %v, want %v", code, got, want)
		}
	}
}

func TestDecide_over_other_reasons(t *testing.T) {
	nilDereference := func() (r any) {
		defer func() { r = recover() }()
		var s *shard
		return s.drained
	}()
	tests := []struct {
		name   string
		reason any
		want   verdict
	}{
		{"nil", nil, bug},
		{"a string", "boom", bug},
		{"a nil dereference", nilDereference, bug},
		{"an error that nobody meant to panic with", errors.New("boom"), bug},
		{"a failure", &failure{errors.New("RESUMED did not come")}, restart},
		{"a failure around a cancelled context", &failure{context.Canceled}, restart},
		{"a fatal close without the wrapper", &gateway.CloseError{Code: 4004, Class: gateway.FatalBot}, stopBot},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decide(tt.reason)
			if got != tt.want || err == nil {
				t.Errorf("got %v with error %v, want %v with an error", got, err, tt.want)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	tests := []struct {
		name        string
		allow, deny []string
		want        map[string]bool
	}{
		{"nothing set", nil, nil, map[string]bool{"MESSAGE_CREATE": true}},
		{"deny", nil, []string{"TYPING_START"}, map[string]bool{"TYPING_START": false, "MESSAGE_CREATE": true}},
		{"allow", []string{"MESSAGE_CREATE"}, nil, map[string]bool{"TYPING_START": false, "MESSAGE_CREATE": true}},
		{"deny wins", []string{"MESSAGE_CREATE"}, []string{"MESSAGE_CREATE"}, map[string]bool{"MESSAGE_CREATE": false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Filter
			f.Set(tt.allow, tt.deny)
			for name, want := range tt.want {
				if got := f.Pass([]byte(name)); got != want {
					t.Errorf("%s: got %v, want %v", name, got, want)
				}
			}
		})
	}
	if !new(Filter).Pass([]byte("MESSAGE_CREATE")) {
		t.Error("the zero value: got false, want everything to pass")
	}
}
