// Package cpu adds up what threads did on the CPUs and what they waited for,
// what they called and how much memory they had.
//
//  1. Stacks reads the frames and stacks of a capture and tells by a table of
//     rules (rules.go) what a wait with these stacks was for.
//  2. A Partial takes the rows of tables intervals, offcpu, wakes, syscalls and
//     memory, each with who it belongs to. A row that reaches beyond the Frame
//     counts by the part of its interval within, as if it was spread evenly; so
//     ranges that follow one another add up. The longest of something is kept
//     whole.
//  3. Partials merge exactly, in any order. Sums by party and service are as
//     many as the processes that the caller knows; lists of threads, pairs and
//     calls are bounded and say what they dropped.
//  4. SplitPolls tells an idle event loop from one that waits for answers.
//
// Numbers that no capture of ours has (negative, or too large to add) don't
// wrap: they count as 0, or stop at the largest.
package cpu
