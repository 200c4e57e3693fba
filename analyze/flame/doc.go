// Package flame adds up stacks: where time went on the CPUs and off them, by
// call path, by service and by moment.
//
//  1. A Builder reads the tables frames, stacks, oncpu and offcpu of captures
//     (Add), row by row. Frames of one function are one Frame; a stack that is
//     missing, or an address without a name, is a Frame that says so.
//  2. Each row becomes a path: service, of a wait its state, the user frames
//     from the root, the kernel frames from the root. Paths are nodes of one
//     Tree; a Cell counts what ended in a node within a bucket of time.
//  3. Result gives tree and cells. Samples count 1, waits their nanoseconds.
//  4. Result.Flame adds a kind up to a tree of one service or of all, and
//     prunes it; Result.Profile makes the whole small enough for a page;
//     Heat has the samples by second and by place within the second.
//
// Sums are exact: nothing is dropped, and what is pruned stands in a node
// named "(other)" below the last node kept. Memory is bounded by the limits in
// limits.go whatever a capture holds: beyond them buckets become wider and
// deep paths end in "(other)". The result does not depend on the order of rows.
package flame
