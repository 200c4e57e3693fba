// Package analyze rebuilds services, topology and latencies from captures.
//
//  1. Run opens every capture (replay): names processes, folds sockets.
//  2. A topology.Graph names both ends of every connection and pairs them.
//  3. Workers read exchange segments of all captures (replay.Each) and count
//     their rows (request.Accumulator), each into a Partial of its own.
//  4. The Partials merge exactly; the Graph resolves endpoints to services and
//     folds what was counted into edges. Sockets that go hand over their
//     connections, of which each instance keeps the busiest and the slowest.
//  5. Topics read the tables of the other collectors, one after the other, and
//     fill their parts (addTopics). Processes without connections become
//     services by the same names (run.serviceOf).
//  6. What they add up by windows of 5 s, of all services, becomes the Input of
//     package finding (run.input), whose rules give findings and checks. A
//     baseline goes the same way up to its own Input.
//  7. Everything becomes one plain value, an Analysis, sorted by name, which
//     the reports render and which is the JSON output.
//
// Run reads the captures and nothing else: no clock, no /proc, no
// environment. The same captures, options and version give the same Analysis,
// whatever the number of workers. Damage and losses don't end a run: they
// stand in Captures, Losses and Warnings, and first in the Verdict. A file
// that is no capture does, with an error that names it.
package analyze
