// Package replay turns captures back into what happened.
//
//  1. Open reads a capture's small tables: manifest, processes, listeners,
//     losses, the recorder's own cost.
//  2. Owners names the process behind a pid at a moment, from snapshots and
//     exec events, across pid reuse.
//  3. Parts divides the captures into parts, and reads the sockets of each:
//     Capture.Sockets has those of the part, folded and sorted by id.
//  4. Parts.Each decodes the exchange segments of the part, several at once,
//     and hands each to the caller as columns, with every socket id already
//     an index into Sockets: the caller's work per row is array indexing.
//
// Times stay on the capture's monotonic clock; Capture.OffsetNs turns them
// into Unix time. Nothing but the files is read: no clock, no /proc, no
// environment. A damaged part of a file is a Problem of its capture, not an
// error. Source: DESIGN.md §4 and §5.
package replay
