// Package export writes stacks, and what happened when, in the formats of other
// tools.
//
//  1. It takes an analyze.Profile that is not pruned (analyze.Stacks) and one
//     of its kinds, and adds up what ended in each path.
//  2. Folded writes a line a path, for flamegraph.pl and what reads its input.
//  3. Pprof writes profile.proto, for go tool pprof: services and what was
//     waited for are labels, everything else frames.
//  4. Speedscope writes its file format, version of the schema as of 2024.
//  5. Perfetto is told a capture event by event (analyze.ReadTimeline) and writes
//     a trace as it goes; perfetto_wire.go has the messages, perfetto_lanes.go
//     what keeps slices from crossing.
//
// The same profile or capture gives the same bytes. Values are samples or, off the CPU,
// nanoseconds; where what a sample stands for is known, also its time.
package export
