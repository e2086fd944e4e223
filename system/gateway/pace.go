package gateway

import "time"

// Deadlines and waits of one shard.
const (
	helloTimeout = 20 * time.Second

	// READY may come late in an outage of Discord's, and a second IDENTIFY costs budget, so this is a
	// last resort: heartbeats tell a dead connection far sooner. 180 s is twice the longest delay that
	// must be borne, and with the backoff after it a lasting outage costs some 200 IDENTIFYs a day.
	readyTimeout = 180 * time.Second

	resumedTimeout = 60 * time.Second // without any dispatch

	// SessionLife is how long after the last contact a RESUME is still tried. Discord promises "a few
	// minutes"; a try that comes too late costs one round trip.
	SessionLife = 15 * time.Minute

	// steady is how long a connection must serve so that its loss is not one of a series.
	steady = time.Minute

	rateLimitedWait = 5 * time.Second // at least, after close code 4008
)

// Backoff of connections and of IDENTIFYs, see Backoff.
const (
	dialBase = time.Second
	dialCap  = time.Minute

	// Full jitter waits half the cap on average: 600 s makes 288 IDENTIFYs a day where none succeeds,
	// of the 1000 that Discord allows before it resets the token.
	identifyBase = 5 * time.Second
	identifyCap  = 10 * time.Minute
)

// Tries before a plan is given up.
const (
	maxDials       = 3 // on the resume URL, then as many on the base URL, and so on
	maxResumes     = 3 // RESUMEs that ended before RESUMED and moved nothing
	maxInvalidTrue = 3 // op 9 with true; the last one counts as false
)

// Backoff returns how long to wait before a try: under firstJitter for attempt 0, which spreads
// shards that were cut off together, then full jitter under base, doubling with each attempt up
// to limit. rnd is in [0,1).
func Backoff(attempt int, base, limit time.Duration, rnd float64) time.Duration {
	const firstJitter = time.Second
	ceiling := firstJitter
	if attempt > 0 {
		ceiling = min(base, limit)
		for range attempt - 1 {
			if ceiling >= limit/2 {
				ceiling = limit
				break
			}
			ceiling *= 2
		}
	}
	return time.Duration(rnd * float64(ceiling))
}

// invalidWait is the wait after an op 9, 1 to 5 s.
func invalidWait(rnd float64) time.Duration {
	return time.Second + time.Duration(rnd*float64(4*time.Second))
}
