package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	testToken = "MTIz.secret.token"
	goodBot   = `{"url":"wss://gateway.discord.gg","shards":3,"session_start_limit":{"total":1000,"remaining":962,"reset_after":51234567,"max_concurrency":16},"more":[]}`
)

// api serves one answer and counts the requests.
func api(t *testing.T, status int, header http.Header, body string) (RESTOptions, *int) {
	t.Helper()
	calls := new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		if r.Method != http.MethodGet || r.URL.Path != "/api/v10/gateway/bot" || r.URL.RawQuery != "" {
			t.Errorf("got %s %s, want GET /api/v10/gateway/bot", r.Method, r.URL)
		}
		if got, want := r.Header.Get("Authorization"), "Bot "+testToken; got != want {
			t.Errorf("authorization: got %q, want %q", got, want)
		}
		if got, want := r.UserAgent(), "DiscordBot (https://drover.example, 1)"; got != want {
			t.Errorf("user agent: got %q, want %q", got, want)
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return RESTOptions{APIURL: server.URL + "/api/v10/", Token: testToken, UserAgent: "DiscordBot (https://drover.example, 1)"}, calls
}

func TestFetchBotGateway(t *testing.T) {
	want := BotGateway{URL: "wss://gateway.discord.gg", Shards: 3, Total: 1000, Remaining: 962, ResetAfter: 51234567 * time.Millisecond, MaxConcurrency: 16}
	o, _ := api(t, 200, nil, goodBot)
	for _, token := range []string{testToken, "Bot " + testToken} {
		o.Token = token
		if got, err := FetchBotGateway(t.Context(), o); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	// Malformed rate-limit headers are none of our concern.
	o, _ = api(t, 200, http.Header{"X-Ratelimit-Reset": {"soon"}, "X-Ratelimit-Remaining": {"x"}, "X-Ratelimit-Reset-After": {"y"}}, goodBot)
	if got, err := FetchBotGateway(t.Context(), o); err != nil || got != want {
		t.Errorf("with malformed headers: got %+v, %v; want %+v", got, err, want)
	}
}

func TestConformance23_a_refused_token_is_an_error_of_its_own_and_not_retried(t *testing.T) {
	for _, body := range []string{`{"message":"401: Unauthorized","code":0}`, "<html>", ""} {
		o, calls := api(t, 401, nil, body)
		_, err := FetchBotGateway(t.Context(), o)
		if !errors.Is(err, ErrUnauthorized) || *calls != 1 {
			t.Errorf("%s: got %v after %d calls, want ErrUnauthorized after 1", body, err, *calls)
		}
	}
}

func TestConformance24_a_429_says_when_to_ask_again(t *testing.T) {
	tests := []struct {
		name, header, body string
		want               time.Duration
	}{
		{"the header", "80000", `{"message":"You are being rate limited.","retry_after":80000.0,"global":false}`, 80000 * time.Second},
		{"the header of a proxy", "12", "<html>", 12 * time.Second},
		{"a fraction", "1.5", "", 1500 * time.Millisecond},
		{"less than a second", "0.2", "", time.Second},
		{"the body alone", "", `{"retry_after":64.57}`, 64570 * time.Millisecond},
		{"nothing", "", "", 5 * time.Second},
		{"nonsense", "Thu, 01 Jan 1970 00:00:00 GMT", "[]", 5 * time.Second},
		{"a negative number", "-4", `{}`, 5 * time.Second},
		{"not a number", "NaN", `{}`, 5 * time.Second},
		{"far too much", "1e300", `{}`, 7 * 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"X-Ratelimit-Global": {"true"}}
			if tt.header != "" {
				header["Retry-After"] = []string{tt.header}
			}
			o, calls := api(t, 429, header, tt.body)
			_, err := FetchBotGateway(t.Context(), o)
			var after *RetryAfterError
			if !errors.As(err, &after) || after.Wait != tt.want || *calls != 1 {
				t.Errorf("got %v after %d calls, want a wait of %s after 1", err, *calls, tt.want)
			}
		})
	}
}

func TestFetchBotGatewayErrors(t *testing.T) {
	limit := func(shards, total, remaining, reset, concurrency string) string {
		return `{"url":"wss://g","shards":` + shards + `,"session_start_limit":{"total":` + total + `,"remaining":` + remaining + `,"reset_after":` + reset + `,"max_concurrency":` + concurrency + `}}`
	}
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"a banned address", 403, "<html>", "HTTP 403 Forbidden"},
		{"an outage", 503, "<html>" + testToken, "HTTP 503 Service Unavailable"},
		{"a bad gateway", 502, "", "HTTP 502 Bad Gateway"},
		{"not found", 404, `{"message":"404: Not Found","code":0}`, "HTTP 404"},
		{"an unexpected success", 204, "", "HTTP 204"},
		{"no JSON", 200, "<html>", "invalid character"},
		{"nothing", 200, "", "unexpected end"},
		{"too much", 200, `{"x":"` + strings.Repeat("x", 2<<20) + `"}`, "over 1048576 bytes"},
		{"no shards", 200, limit("0", "1", "1", "0", "1"), "shards is 0"},
		{"too many shards", 200, limit("1000001", "1", "1", "0", "1"), "shards is 1000001"},
		{"shards that are no number", 200, limit(`"3"`, "1", "1", "0", "1"), "shards"},
		{"negative total", 200, limit("1", "-1", "1", "0", "1"), "total is -1"},
		{"negative remaining", 200, limit("1", "1", "-1", "0", "1"), "remaining is -1"},
		{"negative reset", 200, limit("1", "1", "1", "-1", "1"), "reset_after is -1"},
		{"endless reset", 200, limit("1", "1", "1", "99999999999999", "1"), "reset_after is 99999999999999"},
		{"no concurrency", 200, limit("1", "1", "1", "0", "0"), "max_concurrency is 0"},
		{"no url", 200, strings.Replace(goodBot, "wss://gateway.discord.gg", "", 1), `url ""`},
		{"a url of another kind", 200, strings.Replace(goodBot, "wss:", "ftp:", 1), "scheme"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, calls := api(t, tt.status, nil, tt.body)
			_, err := FetchBotGateway(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "gateway: rest: GET /gateway/bot: ") {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), testToken) || len(err.Error()) > 300 {
				t.Errorf("got %q, want a short error without the token", err)
			}
			if *calls != 1 {
				t.Errorf("got %d calls, want 1", *calls)
			}
		})
	}
}

func TestFetchBotGatewayWithoutAServer(t *testing.T) {
	server := httptest.NewServer(nil)
	o := RESTOptions{APIURL: server.URL, Token: testToken}
	server.Close()
	if _, err := FetchBotGateway(t.Context(), o); err == nil || strings.Contains(err.Error(), testToken) {
		t.Errorf("server away: got %v, want an error without the token", err)
	}
	for _, base := range []string{"discord.com", "ws://h", "http://", "http://h/?a=b", "http://%zz", "http://h\n"} {
		o.APIURL = base
		if _, err := FetchBotGateway(t.Context(), o); err == nil || !strings.Contains(err.Error(), "discord.api_url") {
			t.Errorf("%q: got %v, want an error that names discord.api_url", base, err)
		}
	}
	o.APIURL, o.Token = server.URL, "a\nb" // a header that cannot be
	if _, err := FetchBotGateway(t.Context(), o); err == nil || strings.Contains(err.Error(), "a\nb") {
		t.Errorf("bad token: got %v, want an error without it", err)
	}
}

func TestFetchBotGatewayEndsWithItsContext(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := FetchBotGateway(ctx, RESTOptions{APIURL: server.URL, Token: testToken})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	<-gone
}
