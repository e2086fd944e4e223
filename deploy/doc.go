// Package deploy has no code of its own. Its tests hold what lies below it against the real thing: dashboards and alerts against a
// Prometheus that scrapes drover processes while faults are injected, and the collector's configuration against what drover sends.
package deploy
