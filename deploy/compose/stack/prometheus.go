package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"drover/system/process"
)

// prometheus is the one of the stack.
type prometheus struct{ addr string }

// sum is the value of an expression that gives one series; ok is false where it gives none.
func (p prometheus) sum(ctx context.Context, expr string) (value float64, ok bool, err error) {
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := p.ask(ctx, "/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return 0, false, err
	}
	if answer.Error != "" || len(answer.Data.Result) > 1 {
		return 0, false, fmt.Errorf("%s: %s, %d series", expr, answer.Error, len(answer.Data.Result))
	}
	if len(answer.Data.Result) == 0 {
		return 0, false, nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	value, err = strconv.ParseFloat(text, 64)
	return value, true, err
}

// until waits for what Prometheus shall see: every expression with its value.
func (p prometheus) until(ctx context.Context, what string, want map[string]float64) error {
	return process.Until(ctx, patience, what, func() (bool, string) {
		for expr, w := range want {
			got, ok, err := p.sum(ctx, expr)
			if err != nil || !ok || got != w {
				return false, fmt.Sprintf("%s is %v (%v, %v), want %v", expr, got, ok, err, w)
			}
		}
		return true, ""
	})
}

// alerts counts the rules that are loaded and those that fire, and says which cannot be evaluated.
func (p prometheus) alerts(ctx context.Context) (loaded int, firing, broken []string, err error) {
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, State, Health, LastError string }
			}
		}
	}
	if err := p.ask(ctx, "/api/v1/rules?type=alert", &answer); err != nil {
		return 0, nil, nil, err
	}
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			loaded++
			if r.State == "firing" {
				firing = append(firing, r.Name)
			}
			if r.Health == "err" {
				broken = append(broken, r.Name+": "+r.LastError)
			}
		}
	}
	return loaded, firing, broken, nil
}

func (p prometheus) ask(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(answer)
}
