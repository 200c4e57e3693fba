// Package network adds up what went wrong on the network.
//
//  1. Owners finds the process of a socket or listener that an event names
//     without telling its process.
//  2. An Accumulator takes rows of tables netevents and acceptqueues of one
//     capture, in any order, and counts them by service, reason, listener and
//     window.
//  3. RTTs takes rows of sockets as they go by and keeps the round trip times
//     that connections had at their close.
//  4. Partial.Merge adds one Partial to another, exactly and in any order.
//
// An event counts at the service whose socket it happened on, in the window
// of its first moment; one that happened on nobody's socket (a packet to a
// closed port) counts at service "". Retransmits here are those that happened
// while recording; a connection's own count (table sockets) runs over its
// life.
//
// Memory is bounded whatever a capture holds: beyond maxKeys reasons or
// listeners, events count in one that stands for the rest, and beyond maxNames
// addresses and stacks, the busiest is that of those met first.
package network
