package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count writes a number with commas: 1,234,567.
func count[N int | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	var out strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			out.WriteByte(',')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// rate writes events per second: one decimal below ten, none above.
func rate(perSecond float64) string {
	if perSecond > 0 && perSecond < 9.95 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return count(int64(perSecond + 0.5))
}

// plural writes "1 shard", "2 shards".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}

// latency splits a duration into a number and its unit, with two significant digits or more.
func latency(d time.Duration) (number, unit string) {
	switch {
	case d <= 0:
		return "–", ""
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10), "µs"
	case d < time.Second:
		return significant(float64(d) / float64(time.Millisecond)), "ms"
	}
	return significant(d.Seconds()), "s"
}

func significant(x float64) string {
	if x < 9.95 {
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return count(int64(x + 0.5))
}

// span writes a length of time for people: its two largest units. No line breaks between number and unit.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d\u00a0s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d\u00a0min %d\u00a0s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d\u00a0h %d\u00a0min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d\u00a0d %d\u00a0h", int(d.Hours())/24, int(d.Hours())%24)
}

// about writes a length of time in its largest unit only, for estimates.
func about(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d\u00a0s", int(d.Seconds()+0.5))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d\u00a0min", int(d.Minutes()+0.5))
	}
	return fmt.Sprintf("%d\u00a0h", int(d.Hours()+0.5))
}
