// Package process runs programs as processes of their own, looks at what they cost, and ends them together with
// everything that they started. The audit and the benchmark stand on it.
package process
