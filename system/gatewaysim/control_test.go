package gatewaysim

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// post sends a control and returns the answer; the status must be want.
func (s *Server) post(t testing.TB, name, body string, want int) map[string]any {
	t.Helper()
	res, err := http.Post(s.ControlURL()+"/"+name, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != want {
		t.Fatalf("%s %s: got %d %v (%v), want %d", name, body, res.StatusCode, answer, err, want)
	}
	return answer
}

func restStatus(t testing.TB, s *Server) (int, string) {
	t.Helper()
	req, _ := http.NewRequest(http.MethodGet, s.APIURL()+"/gateway/bot", nil)
	req.Header.Set("Authorization", "Bot tok")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Retry-After")
}

func dialError(t testing.TB, url string) error {
	c, err := tryDial(t, nil, query(url, "none"), "none")
	if err == nil {
		c.drop()
	}
	return err
}

func TestEveryFaultWorksOverHTTP(t *testing.T) {
	for _, control := range Controls() {
		t.Run(control.Name, func(t *testing.T) {
			test := faultTests[control.Name]
			if test == nil {
				t.Fatal("no test")
			}
			s := newServer(t, Options{Guilds: 3})
			c, r := start(t, s, "none", 3, 0, 1)
			for range r.Guilds {
				c.event("GUILD_CREATE")
			}
			s.post(t, control.Name, `{"nonsense":1}`, 400)
			s.post(t, control.Name, `[`, 400)
			test(t, s, c, r)
		})
	}
}

func TestControlTellsWhatThereIs(t *testing.T) {
	s := newServer(t, Options{Guilds: 3})
	c, _ := start(t, s, "none", 3, 0, 1)
	c.event("GUILD_CREATE")
	get := func(path string, v any) {
		t.Helper()
		res, err := http.Get(s.ControlURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(v); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %d %v", path, res.StatusCode, err)
		}
	}
	var health struct{ Status string }
	get("/../health", &health)
	if health.Status != "ok" {
		t.Errorf("got health %q, want ok", health.Status)
	}
	var list struct{ Controls []Control }
	get("", &list)
	if len(list.Controls) != len(controls) || list.Controls[0].Doc == "" {
		t.Errorf("got %d controls, want %d with their documentation", len(list.Controls), len(controls))
	}
	var st State
	get("/state", &st)
	if len(st.Sessions) != 1 || len(st.Connections) != 1 || st.Counts.Identifies != 1 || st.Connections[0].Received[2] != 1 {
		t.Errorf("got state %+v, want one session and its IDENTIFY", st)
	}
	var ledger struct{ Sessions []LedgerSummary }
	get("/ledger", &ledger)
	if len(ledger.Sessions) != 1 || ledger.Sessions[0].Types["GUILD_CREATE"] != 3 {
		t.Errorf("got ledger %+v, want 3 guilds", ledger)
	}
	s.post(t, "no-such-thing", ``, 404)
}

func TestStateHoldsNoToken(t *testing.T) {
	s := newServer(t, Options{Token: "very-secret"})
	c := dial(t, s.GatewayURL(), "none")
	c.send(`{"op":2,"d":{"token":"very-secret","intents":0,` + props + `}}`)
	c.ready()
	for _, path := range []string{"/state", "/ledger", ""} {
		res, err := http.Get(s.ControlURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		var body json.RawMessage
		_ = json.NewDecoder(res.Body).Decode(&body)
		res.Body.Close()
		if strings.Contains(string(body), "very-secret") {
			t.Errorf("%s shows the token", path)
		}
	}
}

func TestDialHangEndsWithTheClientsPatience(t *testing.T) {
	s := newServer(t, Options{})
	if err := s.RefuseDials(HostBase, DialHang, Limit{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- dialError(t, s.GatewayURL()) }() // ends with Close below at the latest
	waitFor(t, "the dial", func() bool { return s.Counts().DialsRefused == 1 })
	s.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the dial went through")
		}
	case <-time.After(10 * time.Second):
		t.Error("the dial still hangs")
	}
}

// TestDocsListEveryControl holds docs/simulator.md to the table: each control
// has its curl line with the example, and the page names no other.
func TestDocsListEveryControl(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, c := range Controls() {
		want[c.Name] = true
		line := "| `" + c.Name + "` | " + c.Doc + " | `curl -d '" + c.Example + "' $SIM/" + c.Name + "` |"
		if !strings.Contains(string(page), line) {
			t.Errorf("docs/simulator.md lacks this line:\n%s", line)
		}
	}
	for _, m := range regexp.MustCompile(`\$SIM/([a-z-]+)`).FindAllStringSubmatch(string(page), -1) {
		if !want[m[1]] && m[1] != "state" && m[1] != "ledger" && m[1] != "written" {
			t.Errorf("docs/simulator.md names %s, which does not exist", m[1])
		}
	}
}
