package actors

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"drover/system/gateway"
	"drover/system/telemetry"
)

func TestDown_is_told_in_words_and_counted_under_a_bounded_label(t *testing.T) {
	closed := func(code int) error { return &gateway.CloseError{Code: code, Class: gateway.ClassOf(code)} }
	tests := []struct {
		name  string
		down  gateway.Down
		loss  error
		label string
		words []string
	}{
		{"a close code", gateway.Down{Reason: gateway.DownClosed, CloseCode: 4009, Next: gateway.NextIdentify}, closed(4009), "close_4009", []string{"4009", "to identify anew"}},
		{"no close frame", gateway.Down{Reason: gateway.DownLost, Next: gateway.NextResume}, closed(1006), telemetry.ErrConnection, []string{"connection lost, to be resumed"}},
		{"corrupt compression", gateway.Down{Reason: gateway.DownLost, Next: gateway.NextResume}, fmt.Errorf("%w: bad block", gateway.ErrInflate), telemetry.ErrInflate, []string{"corrupt compression", "bad block"}},
		{"a frame over the limit", gateway.Down{Reason: gateway.DownLost, Next: gateway.NextResume}, fmt.Errorf("%w: %w", gateway.ErrInflate, gateway.ErrTooBig), telemetry.ErrTooBig, []string{"64 MiB"}},
		{"no JSON object", gateway.Down{Reason: gateway.DownLost, Next: gateway.NextResume}, gateway.ErrNoObject, telemetry.ErrScan, []string{"JSON object"}},
		{"bad JSON", gateway.Down{Reason: gateway.DownLost, Next: gateway.NextResume}, scanError(t), telemetry.ErrScan, []string{"scan"}},
		{"a dial", gateway.Down{Reason: gateway.DownDial, Next: gateway.NextIdentify}, errors.New("connection refused"), telemetry.ErrDial, []string{"dial failed", "connection refused"}},
		{"a silent edge", gateway.Down{Reason: gateway.DownHelloTimeout, Next: gateway.NextIdentify}, nil, telemetry.ErrHelloTimeout, []string{"no HELLO"}},
		{"a zombie", gateway.Down{Reason: gateway.DownZombie, Next: gateway.NextResume}, nil, telemetry.ErrZombie, []string{"heartbeats"}},
		{"op 9", gateway.Down{Reason: gateway.DownInvalid, Next: gateway.NextIdentify}, nil, telemetry.ErrInvalidSession, []string{"session invalid"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := errorType(tt.down, tt.loss); got != tt.label {
				t.Errorf("got label %s, want %s", got, tt.label)
			}
			text := downText(tt.down, tt.loss)
			for _, w := range tt.words {
				if !strings.Contains(text, w) {
					t.Errorf("got %q, want it to say %q", text, w)
				}
			}
		})
	}
}

func scanError(t *testing.T) error {
	t.Helper()
	err := gateway.Scan([]byte(`{"op":`), &gateway.Frame{})
	if err == nil {
		t.Fatal("the scanner took half an object")
	}
	return err
}
