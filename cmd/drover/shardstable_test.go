package main

import "testing"

func TestPrice_counts_the_time_that_IDENTIFYs_take(t *testing.T) {
	for _, tt := range []struct {
		resumes, identifies int
		want                string
	}{
		{4, 0, "4 RESUMEs, 0 IDENTIFYs, about a second without events for each shard"},
		{1, 8, "1 RESUMEs, 8 IDENTIFYs, about a second without events for each shard, and up to 42s for the last that identifies (5.25s between two; less where max_concurrency is above 1)"},
	} {
		if got := price(tt.resumes, tt.identifies); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
