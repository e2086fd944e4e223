//go:build race

package gateway

// raceDetector is set where the tests run with the race detector, about ten times slower.
const raceDetector = true
