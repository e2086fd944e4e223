package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckTimeout: an answer that takes longer is as bad as none. Container
// runtimes give a check 30 s by default.
const healthcheckTimeout = 3 * time.Second

func newHealthcheckCommand() *cobra.Command {
	var sources sourceFlags
	var ready bool
	var addr string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running node whether it is healthy (for containers)",
		Long: `Healthcheck asks a node on this host for /health, or with --ready for /ready, and exits with 0 when the
answer is 200 and with 1 otherwise. The address is http.addr of the configuration.`,
		Example: `  drover healthcheck
  drover healthcheck --ready --addr 127.0.0.1:9191`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("addr") {
				cfg, _, err := sources.load()
				if err != nil {
					// 1 and not 2: Docker reserves 2 for a check's exit code.
					return fmt.Errorf("healthcheck: which address? %w", unhealthy{err})
				}
				addr = cfg.HTTP.Addr
			}
			path := "/health"
			if ready {
				path = "/ready"
			}
			target, err := checkURL(addr, path)
			if err != nil {
				return err
			}
			if err := check(cmd.Context(), target); err != nil {
				return err
			}
			_, _ = fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return nil
		},
	}
	sources.add(cmd)
	cmd.Flags().BoolVar(&ready, "ready", false, "ask for /ready and not for /health")
	cmd.Flags().StringVar(&addr, "addr", "", "host:port or URL of the node (default: http.addr)")
	return cmd
}

// unhealthy is an error with exit code 1, whatever code is inside it.
type unhealthy struct{ error }

func (unhealthy) ExitCode() int { return exitFailure }

// checkURL is path at addr, which may be an address to listen at (:9090,
// 0.0.0.0:9090, [::]:9090), host:port, or a URL.
func checkURL(addr, path string) (string, error) {
	if strings.Contains(addr, "://") {
		u, err := url.Parse(addr)
		if err != nil || u.Host == "" {
			return "", errors.New("healthcheck: --addr is not a URL: write it like http://127.0.0.1:9090")
		}
		return u.JoinPath(path).String(), nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("healthcheck: %q is not an address: write it like 127.0.0.1:9090", addr)
	}
	// Who listens at a wildcard takes IPv4 too, also at [::]: Go asks for that where it makes the socket. ::1 is not there where IPv6 is
	// switched off, as in many containers.
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.Unmap().IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + path, nil
}

// check is nil when target answers 200 in time.
func check(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	// A transport of its own: no proxy of the environment stands between us and
	// our own host.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s", healthcheckTimeout)
		}
		var inURL *url.Error // it would repeat the URL
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		return fmt.Errorf("healthcheck: %s: %w", target, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("healthcheck: %s answers %d%s", target, resp.StatusCode, reasons(resp.Body))
}

// reasons are what /ready says is missing, or "".
func reasons(body io.Reader) string {
	var answer struct {
		Reasons []string `json:"reasons"`
	}
	if err := json.NewDecoder(io.LimitReader(body, 1<<16)).Decode(&answer); err != nil || len(answer.Reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(answer.Reasons, "; ")
}
