package system

import (
	"errors"
	"fmt"

	"drover/system/gateway"
	"drover/system/stream"
	"drover/system/web"
)

// Error ends a node with an exit code of the contract and one sentence for the operator.
type Error struct {
	Code int // 1 internal or unacknowledged events, 2 configuration, 3 refused by Discord
	Text string
	Err  error // may be nil
}

// Exit codes (contract §8).
const (
	exitFailure = 1
	exitConfig  = 2
	exitRefused = 3
)

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return fmt.Sprintf("%s: %v", e.Text, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the process's exit code.
func (e *Error) ExitCode() int { return e.Code }

// refused turns Discord's final no into the sentence that says what to change.
func refused(err error) *Error {
	var closed *gateway.CloseError
	if errors.As(err, &closed) {
		return &Error{Code: exitRefused, Text: fmt.Sprintf("%v. %s", err, closed.Remedy())}
	}
	if errors.Is(err, gateway.ErrUnauthorized) {
		return &Error{Code: exitRefused, Text: "Discord refuses the token. Set discord.token (DISCORD_TOKEN) to the bot's token " +
			"as the developer portal shows it under Bot; a token that was reset there is dead", Err: err}
	}
	return &Error{Code: exitRefused, Text: err.Error()}
}

// listening names the key to change when a port is taken.
func listening(err error) *Error {
	var taken *web.ListenError
	if errors.As(err, &taken) {
		return &Error{Code: exitConfig, Err: taken.Err,
			Text: fmt.Sprintf("http.addr: %s cannot be listened on; choose another with http.addr (HTTP_PORT), or stop what uses it", taken.Addr)}
	}
	return &Error{Code: exitFailure, Text: "http", Err: err}
}

// embedding names the key to change when the embedded NATS server cannot start.
func embedding(err error) *Error {
	var listen *stream.ListenError
	if errors.As(err, &listen) {
		return &Error{Code: exitConfig, Err: listen.Err,
			Text: fmt.Sprintf("nats.embedded.listen: %s cannot be listened on; choose another address there, "+
				"or set nats.url (NATS_URL) to use the server that runs already", listen.Addr)}
	}
	var store *stream.DataDirError
	if errors.As(err, &store) {
		return &Error{Code: exitConfig, Err: store.Err,
			Text: fmt.Sprintf("nats.embedded.data_dir: %s cannot be used; choose a writable folder of its own", store.Dir)}
	}
	return &Error{Code: exitFailure, Text: "embedded NATS server", Err: err}
}

// spooling names the key to change when the spool cannot be opened.
func spooling(err error) *Error {
	var spool *stream.SpoolError
	if errors.As(err, &spool) {
		return &Error{Code: exitConfig, Err: spool.Err,
			Text: fmt.Sprintf("spool.dir: %s cannot be used; choose a writable folder of its own, or set spool.max_bytes to 0 to do without", spool.Dir)}
	}
	return &Error{Code: exitFailure, Text: "spool", Err: err}
}
