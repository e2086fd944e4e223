// Package gateway speaks Discord's gateway, version 10, for one shard: the session machine, the
// connection, and what both need to read and write frames.
//
// # The session machine
//
// Session decides; its caller acts. Every input (Start, Dialed, Receive, Granted, Tick, Lost, Drain,
// End) carries the time and returns effects, to be carried out one by one in their order:
//
//	          Start
//	            v
//	.------> waiting --Tick--> dialing --Dialed--> greeting
//	|           ^                |                  | HELLO: heartbeats begin
//	|           |               Lost       .--------+---------.
//	|           |                |    no session           session
//	|           |                |    WantPermit           RESUME
//	|           |                |         v                  v
//	|           |                |     queueing            resuming
//	|           |                |         | Granted          | RESUMED
//	|           |                |     IDENTIFY               |
//	|           |                |         v                  |
//	|           |                |    identifying -READY-> serving
//	|           |                v         v                  v
//	|           '-- Down <-- any end of a connection or of a dial
//	|                                      |
//	'--- OpenSession(Memory), Start <-- Fail        Drain, End: idle
//
// An end of a connection is routine, and the Session goes to waiting by itself, when the server asked
// for it (op 7, op 9) or when it is the first since the last READY or RESUMED. A further one Fails:
// whoever owns the Session gives it up and makes a new one from Memory, which waits as long as the
// losses so far ask for. A fatal close code Fails with a *CloseError whose class says so, and then
// nothing is to be tried again.
//
// What RESUME, IDENTIFY or nothing follows is decided by one table, ClassOf, and these rules: op 9
// false, three op 9 true, three RESUMEs that moved nothing, a second 1000, or 15 minutes without contact end the
// session (Gap). Failed dials never do. An op 9 waits 1 to 5 s, a 4008 at least 5 s, all else under
// a second at first; then Backoff doubles: up to 60 s for dials and RESUMEs, and up to 600 s once
// IDENTIFYs have failed. A connection that served for less than a minute counts as one of a series.
//
// # Duties of the caller
//
//  1. Carry out the effects of one input before the next input, in their order. Keep Memory after each.
//  2. Give an input only what belongs to the current Connect: number them, and drop what an older
//     dial, connection or permit still reports. After a Close nothing of that connection is current.
//  3. Have one timer. Wake replaces it; Tick when it is due. A Tick too many does no harm.
//  4. Send goes out at once, past the Outbox, but is counted there (Outbox.Sent). A failed write is
//     a Lost. Payloads hold the token: never log them.
//  5. WantPermit is answered by Granted, on the same connection, or not at all. PermitSpent comes
//     before its Send: a crash in between counts the permit as used, never the other way round.
//  6. Close must not wait for the peer for longer than a second. It also ends a dial under way.
//  7. Read without pause. Heartbeats are judged by Seen: At is the last message of whatever kind of the
//     current connection, Blocked says that the reader is waiting for its consumer.
//  8. READY goes to Tracker.Begin before it goes to Receive, unless it is for another slice (ReadyData.For);
//     RESUMED goes to Receive after all dispatches before it are accepted. So Seen.Seq is of the
//     session that Memory has.
//
// The sequence number in Memory is the newest received. Whoever stores it beyond the process stores
// the newest acknowledged one in its place.
//
// # Commands
//
// Outbox holds what workers want to send (op 3, 4, 8, 31 and 43) within Discord's limits, SendLimit
// counts all frames of a connection. Both are pure as well.
package gateway
