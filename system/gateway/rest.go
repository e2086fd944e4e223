package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"
)

// BotGateway is the answer of GET /gateway/bot. The URL keeps for long; the numbers change with each
// guild and each IDENTIFY.
type BotGateway struct {
	URL    string // base to dial, without query
	Shards int    // recommended count

	Total          int           // IDENTIFYs a day, over all shards
	Remaining      int           // of them until the reset
	ResetAfter     time.Duration // until Remaining is Total again
	MaxConcurrency int           // IDENTIFYs that may be under way at once, one per rate-limit key
}

// RESTOptions say where to ask and as whom.
type RESTOptions struct {
	APIURL     string       // with version, such as DefaultAPIURL
	Token      string       // with or without the prefix "Bot "; never in an error
	UserAgent  string       // "DiscordBot (<url>, <version>)"
	HTTPClient *http.Client // nil is a plain one; its Transport is used, its Timeout kept
}

// DefaultAPIURL is Discord's own API.
const DefaultAPIURL = "https://discord.com/api/v10"

// ErrUnauthorized says that the API refused the token (HTTP 401). There is no use in asking again: such
// answers count towards a ban of the address. A 403 is not meant: it is what a ban itself, or a proxy
// that has a bad day, answers with a good token, and it passes.
var ErrUnauthorized = errors.New("gateway: rest: the API refused the bot's token")

// RetryAfterError says that the API is not to be asked before Wait is over (HTTP 429). Waits of many
// hours have been seen. A RESUME needs no answer of the API.
type RetryAfterError struct{ Wait time.Duration }

// Error implements error.
func (e *RetryAfterError) Error() string {
	return fmt.Sprintf("gateway: rest: rate limited, ask again in %s", e.Wait)
}

const (
	maxAnswer    = 1 << 20            // bytes; the real one has about 200
	maxCount     = 1_000_000          // shards, or IDENTIFYs at once: more is nonsense
	maxWait      = 7 * 24 * time.Hour // a day is the longest that is known
	defaultWait  = 5 * time.Second    // after a 429 that does not say
	gatewayRoute = "/gateway/bot"
)

// FetchBotGateway asks for the gateway's URL, the recommended count of shards and what is left of the
// day's IDENTIFYs. It tries once; ctx bounds it.
//
// Errors are ErrUnauthorized, *RetryAfterError, or for all else (network, 5xx, an answer that makes no
// sense) a plain one, after which it may be tried again.
func FetchBotGateway(ctx context.Context, o RESTOptions) (BotGateway, error) {
	route, err := apiRoute(o.APIURL)
	if err != nil {
		return BotGateway{}, err
	}
	client := http.Client{}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	watch := &watcher{base: client.Transport}
	client.Transport = watch

	// discordgo's retries sleep without an end, so drover's own pacing does them.
	session := &discordgo.Session{
		Token:       "Bot " + strings.TrimPrefix(o.Token, "Bot "),
		Ratelimiter: discordgo.NewRatelimiter(),
		Client:      &client,
		UserAgent:   o.UserAgent,
		LogLevel:    -1, // below LogError: it writes to standard error, past our logs
	}
	body, err := session.Request(http.MethodGet, route, nil, discordgo.WithContext(ctx),
		discordgo.WithRetryOnRatelimit(false), discordgo.WithRestRetries(0))
	// The status decides, not discordgo's error: it is a JSON error where a proxy answers in HTML,
	// and repeats the whole body elsewhere.
	switch {
	case watch.status == 0:
		return BotGateway{}, restError(err)
	case watch.status == http.StatusUnauthorized:
		return BotGateway{}, fmt.Errorf("%w (HTTP %d)", ErrUnauthorized, watch.status)
	case watch.status == http.StatusTooManyRequests:
		return BotGateway{}, &RetryAfterError{Wait: watch.wait()}
	case watch.status != http.StatusOK:
		return BotGateway{}, restError(fmt.Errorf("HTTP %d %s", watch.status, http.StatusText(watch.status)))
	case err != nil:
		return BotGateway{}, restError(err)
	}
	return botGateway(body)
}

func restError(err error) error {
	return fmt.Errorf("gateway: rest: GET %s: %w", gatewayRoute, err)
}

func apiRoute(base string) (string, error) {
	if base == "" {
		base = DefaultAPIURL
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" {
		return "", errors.New("gateway: rest: the API's URL (discord.api_url) is not an http or https URL")
	}
	return strings.TrimRight(base, "/") + gatewayRoute, nil
}

func botGateway(body []byte) (BotGateway, error) {
	var answer discordgo.GatewayBotResponse
	if err := json.Unmarshal(body, &answer); err != nil {
		return BotGateway{}, restError(err)
	}
	limit := answer.SessionStartLimit
	for _, n := range []struct {
		name             string
		value, low, high int
	}{
		{"shards", answer.Shards, 1, maxCount},
		{"session_start_limit.total", limit.Total, 0, math.MaxInt32},
		{"session_start_limit.remaining", limit.Remaining, 0, math.MaxInt32},
		{"session_start_limit.reset_after", limit.ResetAfter, 0, int(maxWait / time.Millisecond)},
		{"session_start_limit.max_concurrency", limit.MaxConcurrency, 1, maxCount},
	} {
		if n.value < n.low || n.value > n.high {
			return BotGateway{}, restError(fmt.Errorf("%s is %d, not from %d to %d", n.name, n.value, n.low, n.high))
		}
	}
	if _, err := GatewayURL(answer.URL, ""); err != nil {
		return BotGateway{}, restError(err)
	}
	return BotGateway{
		URL:            answer.URL,
		Shards:         answer.Shards,
		Total:          limit.Total,
		Remaining:      limit.Remaining,
		ResetAfter:     time.Duration(limit.ResetAfter) * time.Millisecond,
		MaxConcurrency: limit.MaxConcurrency,
	}, nil
}

// watcher is the transport of one request. It notes what discordgo does not hand on, bounds the body,
// and takes away the rate-limit headers, over which discordgo would fail where they are malformed.
type watcher struct {
	base   http.RoundTripper
	status int // 0 until an answer came
	after  string
	body   []byte // the beginning of a 429's
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	base := w.base
	if base == nil {
		base = http.DefaultTransport
	}
	answer, err := base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.status, w.after = answer.StatusCode, answer.Header.Get("Retry-After")
	for name := range answer.Header {
		if strings.HasPrefix(name, "X-Ratelimit-") || name == "Retry-After" {
			delete(answer.Header, name)
		}
	}
	answer.Body = &bounded{ReadCloser: answer.Body, left: maxAnswer, w: w}
	return answer, nil
}

// wait reads how long a 429 wants us to wait: the header in seconds, else the body's retry_after.
func (w *watcher) wait() time.Duration {
	seconds, err := strconv.ParseFloat(strings.TrimSpace(w.after), 64)
	if err != nil {
		var told struct {
			RetryAfter float64 `json:"retry_after"`
		}
		if json.Unmarshal(w.body, &told) == nil {
			seconds = told.RetryAfter
		}
	}
	if !(seconds > 0) { // also not a number
		return defaultWait
	}
	if seconds > maxWait.Seconds() {
		return maxWait
	}
	return max(time.Duration(math.Ceil(seconds*1000))*time.Millisecond, time.Second)
}

// bounded is a body that is an error beyond its limit.
type bounded struct {
	io.ReadCloser
	left int
	w    *watcher
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("answer is over %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	if b.w.status == http.StatusTooManyRequests && len(b.w.body) < 4<<10 {
		b.w.body = append(b.w.body, p[:n]...)
	}
	return n, err
}
