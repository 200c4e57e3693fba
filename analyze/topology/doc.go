// Package topology finds out who talked to whom.
//
//  1. New names the client and the server of every socket's connection, from
//     the owners of its ends, the listeners, and else its addresses, and puts
//     it on a Route: client, server endpoint, service address translated.
//  2. It pairs the two ends of a connection, on one host, across captures,
//     and through a service address (destination NAT).
//  3. Graph.Cell says, for the rows of a socket and a process, into which
//     Cell they count: a route, an end, an instance. The process of a row
//     beats that of the socket: servers fork and hand sockets to workers.
//  4. Graph.Resolve, after all rows, gives every endpoint the service that
//     answered on it and folds routes and cells into edges.
//
// An address without a recorded process is an external service. Everything is
// a function of the captures: no result depends on the order of calls.
package topology
