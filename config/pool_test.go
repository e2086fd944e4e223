package config

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPool_examples(t *testing.T) {
	tests := []struct {
		name                           string
		size, pool, shards, first, end int
	}{
		{"one_full_pool", 25, 0, 25, 0, 25},
		{"last_pool_is_shorter", 25, 1, 40, 25, 40},
		{"beyond_the_last", 25, 2, 40, 0, 0},
		{"below_the_first", 25, -1, 40, 0, 0},
		{"no_shards", 25, 0, 0, 0, 0},
		{"fewer_shards_than_a_pool", 25, 0, 1, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, end := Pool{Size: tt.size}.ShardRange(tt.pool, tt.shards)
			if first != tt.first || end != tt.end {
				t.Errorf("got [%d, %d), want [%d, %d)", first, end, tt.first, tt.end)
			}
		})
	}
}

func TestPool_holds_every_shard_once_and_in_order(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pool{Size: rapid.IntRange(1, maxPoolSize).Draw(t, "size")}
		shards := rapid.IntRange(0, maxTotalShards).Draw(t, "shards")
		next := 0
		for id := range p.PoolCount(shards) {
			first, end := p.ShardRange(id, shards)
			if first != next || end <= first || end-first > p.Size {
				t.Fatalf("pool %d: got [%d, %d), want it to start at %d with 1 to %d shards", id, first, end, next, p.Size)
			}
			if p.PoolOf(first) != id || p.PoolOf(end-1) != id {
				t.Fatalf("pool %d: got pools %d and %d for its ends", id, p.PoolOf(first), p.PoolOf(end-1))
			}
			next = end
		}
		if next != shards {
			t.Fatalf("got %d shards in pools, want %d", next, shards)
		}
	})
}
