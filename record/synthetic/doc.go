// Package synthetic makes captures of machines that do not exist: a small model
// of nodes, services and disks runs in virtual time, with faults of a known kind,
// size and time, and what a recorder would have seen of it is written with
// [format.Writer], a capture a node. Nothing is recorded, and the manifest says so.
//
//  1. A Graph says which services call which, and what a request costs them. A
//     Scenario adds nodes, a rate, patterns of a healthy load, faults, noise.
//  2. The world is a queue of events in virtual time. Requests wait for one of
//     an instance's threads, threads for a CPU, IOs for the disk, and callers for
//     whom they call: what is slow below is slow above, and too much load queues.
//  3. Each node notes what happens as the tables of its capture: exchanges on
//     both ends, sockets, threads by interval, waits and samples with stacks, IOs.
//     Rows of one fact agree, since one event makes them.
//  4. Truth says what was done to the world, to hold findings against.
//
// Everything is drawn from the seed in one goroutine: the same Scenario and
// version give the same bytes. The model is crude where real machines are subtle
// (no caches, no TCP windows, one packet a message, CPUs taken in turn): that a
// rule finds a fault here does not show that it finds it on a machine.
package synthetic
