//go:build race

package cluster

// raceDetector is set where the tests run with the race detector, about ten times slower.
const raceDetector = true
