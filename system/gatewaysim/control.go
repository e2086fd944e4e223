package gatewaysim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"
)

// Control is one entry of the control API: POST /control/<Name> with a JSON
// object, or none.
type Control struct {
	Name    string   `json:"name"`
	Doc     string   `json:"doc"`
	Params  []string `json:"params"` // keys that the body may have
	Example string   `json:"example"`

	do func(s *Server, a *controlArgs) (any, error)
}

// controlBytes bounds a request: room for a large d of /control/dispatch.
const controlBytes = 32 << 20

// controlArgs are the bodies of all controls; each takes the keys in its Params.
type controlArgs struct {
	Shard      *int            `json:"shard"`
	Session    string          `json:"session"`
	Code       *int            `json:"code"`
	Reason     string          `json:"reason"`
	Resumable  bool            `json:"resumable"`
	On         *bool           `json:"on"`
	Host       string          `json:"host"`
	Mode       string          `json:"mode"`
	Count      int             `json:"count"`
	For        duration        `json:"for"`
	Delay      duration        `json:"delay"`
	Pretend    *[2]int         `json:"pretend_shard"`
	Status     int             `json:"status"`
	RetryAfter duration        `json:"retry_after"`
	Answer     string          `json:"answer"`
	Messages   int             `json:"messages"`
	Fragments  int             `json:"fragments"`
	Op         *int            `json:"op"`
	T          string          `json:"t"`
	D          json.RawMessage `json:"d"`
	N          *int            `json:"n"`
	Rate       *float64        `json:"rate"`
	Guild      snowflake       `json:"guild"`
	Token      string          `json:"token"`
	Intents    *uint64         `json:"intents"`
	Remaining  *int            `json:"remaining"`
	ResetAfter duration        `json:"reset_after"`
	Events     int64           `json:"events"`
}

func (a *controlArgs) target() Target { return Target{Shard: a.Shard, Session: a.Session} }
func (a *controlArgs) limit() Limit   { return Limit{Count: a.Count, For: time.Duration(a.For)} }

// duration reads "1m30s", or a number of seconds.
type duration time.Duration

func (d *duration) UnmarshalJSON(b []byte) error {
	var seconds float64
	if json.Unmarshal(b, &seconds) == nil {
		*d = duration(seconds * float64(time.Second))
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a duration is a string like \"1m30s\" or a number of seconds")
	}
	v, err := time.ParseDuration(s)
	*d = duration(v)
	return err
}

// Controls lists the control API, by name.
func Controls() []Control {
	list := append([]Control{}, controls...)
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func (s *Server) controlRoutes(mux *http.ServeMux) {
	// As a node has it, so that drover healthcheck asks this program too.
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"about": "POST /control/<name> with a JSON object. No shard and no session: all of them. " +
				"Faults that wait for an occasion take count (occasions, -1 any number) and for (a duration); with neither they strike once.",
			"read":     []string{"GET /control", "GET /control/state", "GET /control/ledger", "GET /control/written"},
			"controls": Controls(),
		})
	})
	mux.HandleFunc("GET /control/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.State()) })
	mux.HandleFunc("GET /control/ledger", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"recording": s.opts.Record, "sessions": s.LedgerSummary()})
	})
	mux.HandleFunc("GET /control/written", s.serveWritten)
	for i := range controls {
		c := &controls[i]
		mux.HandleFunc("POST /control/"+c.Name, func(w http.ResponseWriter, r *http.Request) { s.serveControl(w, r, c) })
	}
	mux.HandleFunc("POST /control/{name}", func(w http.ResponseWriter, _ *http.Request) {
		names := make([]string, len(controls))
		for i, c := range Controls() {
			names[i] = c.Name
		}
		writeJSON(w, http.StatusNotFound, map[string]any{"error": "no such control; there are: " + strings.Join(names, ", ")})
	})
}

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request, c *Control) {
	a, err := readArgs(http.MaxBytesReader(w, r.Body, controlBytes), c)
	var answer any
	if err == nil {
		answer, err = c.do(s, a)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": fmt.Sprintf("%s: %v", c.Name, err), "doc": c.Doc, "params": c.Params, "example": c.Example})
		return
	}
	s.log.Info("control", "name", c.Name)
	if n, ok := answer.(int); ok {
		answer = map[string]any{"hit": n}
	}
	if answer == nil {
		answer = map[string]any{"ok": true}
	}
	writeJSON(w, http.StatusOK, answer)
}

func readArgs(body io.Reader, c *Control) (*controlArgs, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	a := &controlArgs{}
	if len(bytes.TrimSpace(b)) == 0 {
		return a, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return nil, fmt.Errorf("the body is no JSON object: %w", err)
	}
	for key := range keys {
		if !slices.Contains(c.Params, key) {
			return nil, fmt.Errorf("unknown key %q; known are: %s", key, strings.Join(c.Params, ", "))
		}
	}
	return a, json.Unmarshal(b, a)
}

// hosts reads host: base, resume or both (the default).
func (a *controlArgs) hosts() ([]HostKind, error) {
	switch a.Host {
	case "", "both":
		return []HostKind{HostBase, HostResume}, nil
	case string(HostBase), string(HostResume):
		return []HostKind{HostKind(a.Host)}, nil
	}
	return nil, fmt.Errorf("host is %q, want base, resume or both", a.Host)
}

func (a *controlArgs) answer() (AnswerFault, error) {
	f := AnswerFault{Answer: Answer(a.Answer), Code: closeInvalidSeq}
	if a.Code != nil {
		f.Code = *a.Code
	}
	switch f.Answer {
	case AnswerInvalid, AnswerResumable, AnswerSilence, AnswerDrop:
		return f, nil
	case AnswerClose:
		return f, checkCode(f.Code)
	}
	return f, fmt.Errorf("answer is %q, want invalid, resumable, silence, drop or close", a.Answer)
}

func checkCode(code int) error {
	if !validCloseCode(code) {
		return fmt.Errorf("code %d cannot stand in a close frame, want 1000 to 4999 without 1004 to 1006 and 1015; for 1006 use /control/drop", code)
	}
	return nil
}
