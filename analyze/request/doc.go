// Package request reads exchanges as requests.
//
//  1. An Accumulator takes batches of exchanges and counts each row into the
//     Stats of its cell (one end of a route, one instance; see Places).
//  2. A row is a request unless it is a part of one (Partial), a push
//     (NoRequest), a goodbye, or on a stream.
//  3. A request gives a latency when it was answered, its beginning was seen
//     and its connection did not interleave; see Stats.
//  4. When both ends of a connection were recorded, the server's row lies
//     within the client's: the difference of the two latencies is network and
//     queue time. Pairs that straddle segments wait in the Partial.
//  5. Of each cell some requests are kept as Examples: the slowest, and some of
//     each power of two of latency. What each connection adds up to is its
//     Connection, told at the server's end where both ends were recorded.
//  6. Partials merge exactly, in any order; Pair pairs what waits.
//
// What a goodbye is: the socket closed after a burst that nobody answered,
// the client's end first, in order and at once. TLS close_notify and
// PostgreSQL's Terminate look so. Resets, closes by the server, and clients
// that waited at least GiveUpNs before they closed are unanswered requests.
//
// What a stream is: a socket with the kernel's label (it interleaved at least
// three times), or a socket that in one segment of the file had at least
// PushBursts one-way bursts and more of them than requests: a subscriber that
// is pushed to, whose rare requests would be paired with any next message.
package request
