// Package symbol gives names to the addresses of stacks. It takes the
// addresses as the kernel's stack helpers give them and gives rows of the
// snapshots stacks and frames of package format.
//
//  1. [Resolver.KernelStack] and [Resolver.UserStack] give each stack an id,
//     the same stack the same id. They read no file and are cheap, for they
//     stand on the way of every sample.
//  2. [Resolver.Take] takes out what is new since the last call, of processes,
//     which may end, or of all. It is cheap too. [Resolver.TakeLast] begins
//     anew: for another file, in which every stack has to be named again.
//  3. [Resolver.Name] names what was taken out and returns its rows. It reads
//     files and takes its time: milliseconds to seconds. [Resolver.Rows] is both.
//  4. Kernel addresses are looked up in /proc/kallsyms, in one pass per call.
//  5. A user frame is a place in a file, which is found by its build id among
//     what its process has mapped: while the process lives, or when another
//     has or had the same file, or when [Resolver.Executed] told of it. Where
//     the kernel knows no build id, as in Go's programs, the frame is an
//     address, and the living process says what is there; or, of a process that
//     is gone, the program it executed, if that is not position-independent.
//  6. The file's functions are in its symbol table, Go's own table, a separate
//     debug file, or what it exports; those of a JIT in its perf map.
//
// Any goroutine may call any method at any time; calls of Name wait for one
// another, but the other methods never wait for Name. A file on a file system
// that does not answer holds Name up: it belongs in a goroutine of its own.
//
// Invariants: ids run from 1 without gaps, so that they compress; a row of
// stacks names a frame whose row was returned by this or an earlier call, but
// none from before TakeLast; text
// is valid UTF-8 without control characters. Memory is bounded by [Options]:
// beyond its bounds a Resolver forgets which stacks had which id and gives new
// ones. Tables of symbols are streamed, never held; of the functions in them,
// those that were met are kept.
//
// Files belong to others. They are opened only if they are regular, below the
// root of the process that has them, without waiting; what is read of them is
// bounded whatever they claim.
//
// Frames above the leaf hold return addresses, which may lie in the next
// function when a call is the last thing a function does. They are looked up,
// and stored, one byte lower: inside the call.
//
// Not named: programs of 32 bits, Go programs before 1.18 that are stripped,
// stripped Go programs with C code that are position-independent and of Go
// 1.26 or later.
package symbol
