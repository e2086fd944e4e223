//go:build !sabotage

package messages

// Sabotaged reports whether this build breaks a promise on purpose, so that `drover audit --self-test`
// can show that the audit would notice. Ordinary builds never do, and the compiler removes the branch.
func Sabotaged(Sabotage) bool { return false }
