package gateway

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestConformance58_shard_formula_equals_a_big_integer_reference(t *testing.T) {
	ids := []uint64{0, 1, 1<<22 - 1, 1 << 22, 1<<31 - 1, 1 << 31, 1 << 32, 1 << 53, 1<<53 + 1<<22, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1, 1200000000000000051}
	rnd := rand.New(rand.NewPCG(58, 58))
	for range 10_000 {
		ids = append(ids, rnd.Uint64()>>rnd.IntN(64))
	}
	for _, id := range ids {
		for _, shards := range []int{1, 2, 3, 16, 25, 1000, 1<<31 - 1} {
			ref := new(big.Int).Rsh(new(big.Int).SetUint64(id), 22)
			ref.Mod(ref, big.NewInt(int64(shards)))
			if got, want := ShardOf(id, shards), int(ref.Int64()); got != want {
				t.Fatalf("ShardOf(%d, %d): got %d, want %d", id, shards, got, want)
			}
		}
	}
	for _, shards := range []int{0, -1} {
		if got := ShardOf(1<<63, shards); got != 0 {
			t.Errorf("ShardOf with %d shards: got %d, want 0", shards, got)
		}
	}
}
