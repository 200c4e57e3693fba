package export

import (
	"fmt"
	"io"
	"math"

	"github.com/google/pprof/profile"

	"kmon/analyze"
)

// Pprof writes a gzipped profile.proto. The labels are service and, off the
// CPU, state: go tool pprof -tagroot=service puts them above the frames.
func Pprof(w io.Writer, p *analyze.Profile, kind Kind) error {
	b := pprofBuilder{source: p, locations: map[int32]*profile.Location{}, mappings: map[string]*profile.Mapping{}}
	b.out.TimeNanos, b.out.DurationNanos = p.StartNs, p.BucketNs
	switch {
	case kind == OffCPU:
		b.out.SampleType = []*profile.ValueType{{Type: "delay", Unit: "nanoseconds"}}
		b.out.PeriodType, b.out.Period = &profile.ValueType{Type: "delay", Unit: "nanoseconds"}, 1
	case p.SampleNs > 0:
		b.out.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}
		b.out.PeriodType, b.out.Period = &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, p.SampleNs
	default:
		b.out.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}}
	}
	for _, s := range stacksOf(p, kind) {
		b.add(s)
	}
	if err := b.out.CheckValid(); err != nil {
		return fmt.Errorf("profile for pprof: %w", err)
	}
	return b.out.Write(w)
}

// pprofBuilder is a profile in the making.
type pprofBuilder struct {
	out       profile.Profile
	source    *analyze.Profile
	locations map[int32]*profile.Location // by frame
	mappings  map[string]*profile.Mapping // by module
}

// add adds a path as a sample. One without code has its last label as frame.
func (b *pprofBuilder) add(s stack) {
	sample := &profile.Sample{Value: []int64{s.value}, Label: map[string][]string{}}
	if len(b.out.SampleType) > 1 {
		sample.Value = append(sample.Value, scaled(s.value, b.source.SampleNs))
	}
	for i := len(s.frames) - 1; i >= 0; i-- {
		frame := b.source.Frames[s.frames[i]]
		if frame.Kind == "service" || frame.Kind == "state" {
			sample.Label[frame.Kind] = []string{frame.Name}
			if i < len(s.frames)-1 {
				continue
			}
		}
		sample.Location = append(sample.Location, b.location(s.frames[i]))
	}
	b.out.Sample = append(b.out.Sample, sample)
}

// location gives the place that stands for a frame.
func (b *pprofBuilder) location(frame int32) *profile.Location {
	if l, known := b.locations[frame]; known {
		return l
	}
	f := b.source.Frames[frame]
	id := uint64(len(b.out.Location) + 1)
	function := &profile.Function{ID: id, Name: f.Name, SystemName: f.Name, Filename: f.Module}
	l := &profile.Location{ID: id, Mapping: b.mapping(f.Module), Line: []profile.Line{{Function: function}}}
	b.out.Function = append(b.out.Function, function)
	b.out.Location = append(b.out.Location, l)
	b.locations[frame] = l
	return l
}

// mapping gives the file of a module, nil when it is not known.
func (b *pprofBuilder) mapping(module string) *profile.Mapping {
	if module == "" {
		return nil
	}
	m, known := b.mappings[module]
	if !known {
		m = &profile.Mapping{ID: uint64(len(b.out.Mapping) + 1), File: module, HasFunctions: true}
		b.out.Mapping = append(b.out.Mapping, m)
		b.mappings[module] = m
	}
	return m
}

// scaled multiplies without wrapping.
func scaled(value, by int64) int64 {
	if by > 0 && value > math.MaxInt64/by {
		return math.MaxInt64
	}
	return value * by
}
