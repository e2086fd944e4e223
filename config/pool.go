package config

// PoolCount is the number of pools that a bot of shards shards has; 0 for 0.
func (p Pool) PoolCount(shards int) int {
	if shards <= 0 {
		return 0
	}
	return (shards-1)/p.Size + 1
}

// ShardRange gives the shards [first, end) of pool poolID of a bot of shards
// shards: [p*size, min((p+1)*size, shards)). A pool beyond the last one is
// empty: first == end.
func (p Pool) ShardRange(poolID, shards int) (first, end int) {
	if poolID < 0 || poolID >= p.PoolCount(shards) {
		return 0, 0
	}
	first = poolID * p.Size
	return first, first + min(p.Size, shards-first)
}

// PoolOf is the pool that shardID, 0 or more, belongs to.
func (p Pool) PoolOf(shardID int) int { return shardID / p.Size }
