// Package trigger says, while a recording runs, when something has happened
// that is worth keeping.
//
//  1. [Parse] reads a condition, as p99(service=cart)>200ms. Its errors point at
//     the place and say what there is.
//  2. [New] makes a [Watch] over conditions. It reads /proc/pressure when one asks
//     for it, and refuses a kernel that has none.
//  3. [Watch.Processes], [Watch.Exchanges] and [Watch.NetEvents] take the rows
//     that the recorder writes, as they come. An exchange costs a look at its
//     process and an increment.
//  4. [Watch.Evaluate], once a second, gives the conditions that hold, with what
//     was measured. A condition that held rests for a while.
//
// Requests are read from exchanges as reports read them, with two differences,
// for nothing is known of what comes later: a connection is a stream from the
// moment on at which the kernel says so, and one on which a server mostly pushes
// is not told apart. A request counts when its row comes: when the next one
// begins on its connection, when that ends, or after five seconds.
//
// Memory is bounded by MaxConditions, and by maxServices of 33 KB for each length of
// a window; of more services at once some are not watched, see Watch.Crowded.
package trigger
