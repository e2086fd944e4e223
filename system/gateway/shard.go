package gateway

// ShardOf returns the shard that gets the events of a guild, of shards in all (Discord, "Sharding
// Formula"). Events without a guild come on shard 0. A count below 1 is taken for 1.
func ShardOf(guildID uint64, shards int) int {
	if shards <= 1 {
		return 0
	}
	return int((guildID >> 22) % uint64(shards))
}
