// Package symbol gives names to the addresses of stacks. It takes the
// addresses as the kernel's stack helpers give them and gives rows of the
// snapshots stacks and frames of package format.
//
//  1. [Resolver.KernelStack] and [Resolver.UserStack] give each stack an id,
//     the same stack the same id. They read no file and are cheap, for they
//     stand on the way of every sample.
//  2. [Resolver.Rows] names what is new since the last call and returns its
//     rows. It reads files and takes its time: milliseconds to seconds.
//  3. Kernel addresses are looked up in /proc/kallsyms, in one pass per call.
//
// Any goroutine may call any method at any time; calls of Rows wait for one
// another, but not the others for Rows.
//
// Invariants: ids run from 1 without gaps, so that they compress; a row of
// stacks names a frame whose row was returned by this or an earlier call; text
// is valid UTF-8 without control characters. Memory is bounded by [Options]:
// beyond its bounds a Resolver forgets which stacks had which id and gives new
// ones. Tables of symbols are streamed, never held.
//
// Frames above the leaf hold return addresses, which may lie in the next
// function when a call is the last thing a function does. They are looked up,
// and stored, one byte lower: inside the call.
package symbol
