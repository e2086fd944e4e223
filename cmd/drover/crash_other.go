//go:build !unix

package main

// forbidCore has nothing to do where there are no cores.
func forbidCore() {}
