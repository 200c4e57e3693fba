package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kmon/format"
	"kmon/reports"
)

// info is what info tells of a capture; its JSON is the schema kmon.info/v1.
type info struct {
	Schema     string           `json:"schema"`
	File       string           `json:"file"`            // of parts the first
	Parts      []string         `json:"parts,omitempty"` // the files of a recording of several, by time
	Gaps       []gap            `json:"gaps,omitempty"`  // parts that are missing
	SizeBytes  int64            `json:"size_bytes"`      // of all files
	Manifest   format.Manifest  `json:"manifest"`
	Final      *format.Final    `json:"final"` // null: the recording did not end in order
	DurationNs int64            `json:"duration_ns"`
	Rows       map[string]int64 `json:"rows"`           // per table, as far as it can be read
	Losses     map[string]int64 `json:"losses"`         // collector/cause → count
	Shed       bool             `json:"shed,omitempty"` // something was left out to stay within --max-overhead
	Recorder   recorderCost     `json:"recorder"`
	// ClockMovedNs is the largest change of the wall clock against the monotonic
	// one since the start: it was set, or the machine was suspended.
	ClockMovedNs int64     `json:"clock_moved_ns"`
	Problems     []problem `json:"problems"`

	tables              []string // the keys of Rows in their usual order
	firstPart, lastPart int      // of its recording; 0: it is one file
}

// recorderCost is what recording cost on the node, as last measured.
type recorderCost struct {
	CPUNs       int64 `json:"cpu_ns"`
	MaxRSSBytes int64 `json:"max_rss_bytes"`
	BPFRunNs    int64 `json:"bpf_run_ns"` // of its programs in the kernel, an estimate; 0: not measured
	Known       bool  `json:"known"`      // false: nothing was measured, the numbers mean nothing
}

// problem is a format.Problem in JSON.
type problem struct {
	Entry  string `json:"entry,omitempty"`
	Offset int64  `json:"offset"` // -1: no place in particular
	What   string `json:"what"`
	Mend   string `json:"mend,omitempty"`
	Damage bool   `json:"damage"` // false: a note, nothing is lost
}

func newInfo() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "info CAPTURE...",
		Short: "Say what a capture holds, where and how it was recorded",
		Long: `Say where and when a capture was recorded, by which collectors and hooks, how
many rows it holds, what the recording lost and cost, and what is damaged. Every
checksum in the file is checked on the way. Files that are parts of one recording
are told as one.`,
		Example: `  $ kmon info shop.kmon
  $ kmon info long-*.kmon
  $ kmon info shop.kmon --json | jq .rows`,
		Args:              captures(1, 0),
		ValidArgsFunction: completeCaptures,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCaptures(args, func(i int, c *format.Capture) error {
				stop := startProgress(cmd.ErrOrStderr(), working("reading", c.Path))
				in, err := readInfo(cmd.Context(), c)
				stop()
				if err != nil {
					return err
				}
				return showInfo(cmd.OutOrStdout(), in, asJSON, i > 0)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON (schema kmon.info/v1), a value for each capture")
	return cmd
}

func showInfo(w io.Writer, in info, asJSON, further bool) error {
	if asJSON {
		return writeJSON(w, in)
	}
	p := palette(wantsColour(w))
	return buffered(w, func(w io.Writer) error {
		if further {
			fmt.Fprintln(w)
		}
		return in.write(w, p)
	})
}

// readInfo reads all of a capture but the values of its larger tables.
func readInfo(ctx context.Context, c *format.Capture) (info, error) {
	in := info{Schema: "kmon.info/v1", File: c.Path, SizeBytes: c.Size, Manifest: c.Manifest, Final: c.Final,
		Losses: map[string]int64{}, Problems: []problem{}}
	in.tables = c.Tables()
	in.seeParts(c)
	var err error
	if in.Rows, err = countRows(ctx, c); err != nil {
		return info{}, err
	}
	if err := in.readCost(c); err != nil {
		return info{}, err
	}
	for _, p := range c.Problems() {
		in.Problems = append(in.Problems, problem{p.Entry, p.Offset, p.What, p.Mend, p.Damage})
	}
	return in, nil
}

// endedInOrder reports whether the summary is the recorder's own, and so
// complete; that of a repaired capture is not.
func (in info) endedInOrder() bool {
	return in.Final != nil && in.Final.StopReason != format.StopRepaired
}

// readCost fills in duration, losses and the recorder's cost: from the
// summary, and from the rows where it is missing or knows less.
func (in *info) readCost(c *format.Capture) error {
	losses, err := format.All[format.Loss](c)
	if err != nil {
		return err
	}
	for _, l := range losses {
		if l.Count > 0 {
			in.Losses[l.Collector+"/"+l.Cause.String()] += l.Count
		}
		in.Shed = in.Shed || l.Cause == format.LossShed
	}
	if f := c.Final; in.endedInOrder() {
		for what, n := range f.Losses {
			in.Losses[what] = max(in.Losses[what], n)
		}
		in.DurationNs = f.EndNs - c.Manifest.Clock.MonotonicNs
		in.Recorder = recorderCost{CPUNs: f.CPUNs, MaxRSSBytes: f.MaxRSSBytes, Known: f.CPUNs > 0 || f.MaxRSSBytes > 0}
	}
	return in.readSelf(c)
}

// readSelf takes from the recorder's rows about itself what the summary does
// not say.
func (in *info) readSelf(c *format.Capture) error {
	self, err := format.All[format.Self](c)
	r, cost := &in.Recorder, format.CostOf(self, &c.Manifest)
	r.BPFRunNs = cost.BPFRunNs
	for _, s := range self {
		in.see(s)
		if !in.endedInOrder() {
			in.DurationNs = max(in.DurationNs, s.TsNs-c.Manifest.Clock.MonotonicNs)
			r.CPUNs, r.MaxRSSBytes, r.Known = cost.CPUNs, cost.RSSBytes, true
		}
	}
	return err
}

// see notes how far the clocks of a row have moved apart.
func (in *info) see(s format.Self) {
	clock := in.Manifest.Clock
	if s.RealtimeNs == 0 || clock.RealtimeNs == 0 {
		return
	}
	if moved := s.RealtimeNs - s.TsNs - (clock.RealtimeNs - clock.MonotonicNs); max(moved, -moved) > max(in.ClockMovedNs, -in.ClockMovedNs) {
		in.ClockMovedNs = moved
	}
}

// clockMovedNs is the least move of the clock that info tells; NTP slews by less.
const clockMovedNs = 100e6

func percent(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// write gives the text form: a word, then what there is to say about it.
func (in info) write(w io.Writer, p palette) error {
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(word, format string, args ...any) {
		fmt.Fprintf(tab, "%s\t%s\n", word, oneLine(fmt.Sprintf(format, args...)))
	}
	m := in.Manifest
	line("capture", "%s, %s, format %d, by kmon %s", in.files(), reports.BytesText(in.SizeBytes), m.Version, known(m.KmonVersion))
	if m.Synthetic != "" {
		line("synthetic", "%s", m.Synthetic)
	}
	for _, note := range notes(&m) {
		line(note[0], "%s", note[1])
	}
	line("host", "%s, %s", known(m.Host.Name), hostText(m.Host))
	line("recorded", "%s", in.when())
	if moved := max(in.ClockMovedNs, -in.ClockMovedNs); moved >= clockMovedNs {
		line("clock", "moved by %s while recording: it was set, or the machine was suspended (kmon print %s marks); times are by the clock at the start",
			reports.DurationText(in.ClockMovedNs), in.File)
	}
	for i, text := range in.partLines() {
		line([]string{"part", ""}[min(i, 1)], "%s", text)
	}
	line("command", "%s", known(strings.Join(m.CommandLine, " ")))
	for _, c := range m.Collectors {
		line("collector", "%s: %s", c.Name, cmp.Or(joinMap(c.Variants, ", ", "%s = %s"), "nothing"))
		for _, indicator := range slices.Sorted(maps.Keys(c.Missing)) {
			line("", "%s is not recorded: %s", indicator, c.Missing[indicator])
		}
	}
	line("recorder", "%s", in.cost())
	word := "rows"
	for _, table := range in.tables {
		line(word, "%s of %s", reports.CountText(in.Rows[table]), table)
		word = ""
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	in.writeLosses(w, p)
	return in.writeProblems(w, p)
}

func hostText(h format.Host) string {
	s := fmt.Sprintf("%s, kernel %s, %s", known(h.OS), known(h.Kernel), known(h.Arch))
	if h.CPUs > 0 {
		s += fmt.Sprintf(", %d CPUs", h.CPUs)
	}
	if h.MemoryBytes > 0 {
		s += ", " + reports.BytesText(h.MemoryBytes)
	}
	return s
}

// when says from when, for how long and why no longer.
func (in info) when() string {
	s := "at a time not known"
	if ns := in.Manifest.CreatedUnixNs; ns != 0 {
		s = time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if in.DurationNs > 0 {
		s += ", " + reports.DurationText(in.DurationNs)
	}
	switch {
	case in.Final == nil:
		return s + ", did not end in order"
	case !in.endedInOrder():
		return s + ", did not end in order and was repaired"
	case in.Final.Error != "":
		return s + ", ended by " + in.Final.StopReason + ": " + in.Final.Error
	case in.Final.ExitCode != nil:
		return s + fmt.Sprintf(", ended by %s (exit code %d)", in.Final.StopReason, *in.Final.ExitCode)
	}
	return s + ", ended by " + known(in.Final.StopReason)
}

func (in info) cost() string {
	r := in.Recorder
	if !r.Known {
		return "cost not recorded"
	}
	s := reports.DurationText(r.CPUNs) + " of CPU"
	if in.DurationNs > 0 {
		s += fmt.Sprintf(" (%.1f%% of a core)", percent(r.CPUNs, in.recordedNs()))
	}
	if r.BPFRunNs > 0 {
		s += fmt.Sprintf(", its programs in the kernel about %s more", reports.DurationText(r.BPFRunNs))
	}
	return s + ", " + reports.BytesText(r.MaxRSSBytes) + " of memory"
}

func (in info) writeLosses(w io.Writer, p palette) {
	if len(in.Losses) == 0 {
		if !in.endedInOrder() {
			fmt.Fprintln(w, "no loss stands in what is left of the recording")
			return
		}
		if !in.Shed {
			fmt.Fprintln(w, p.good("nothing was lost while recording"))
		}
	}
	if in.Shed {
		fmt.Fprintln(w, p.bad("parts were left out for a time to stay within --max-overhead (kmon print CAPTURE marks)"))
	}
	for _, what := range slices.Sorted(maps.Keys(in.Losses)) {
		fmt.Fprintln(w, p.bad(oneLine(fmt.Sprintf("lost while recording: %s events (%s)", reports.CountText(in.Losses[what]), what))))
	}
}

func (in info) writeProblems(w io.Writer, p palette) error {
	if len(in.Problems) == 0 {
		_, err := fmt.Fprintln(w, p.good("nothing is damaged"))
		return err
	}
	for _, problem := range in.Problems {
		s := format.Problem{File: in.File, Entry: problem.Entry, Offset: problem.Offset, What: problem.What, Mend: problem.Mend}.String()
		if _, err := fmt.Fprintln(w, p.bad(oneLine(s))); err != nil {
			return err
		}
	}
	return nil
}

func known(s string) string { return cmp.Or(s, "not known") }

// joinMap gives the pairs of m in the order of their keys.
func joinMap(m map[string]string, separator, pair string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf(pair, k, m[k]))
	}
	return strings.Join(parts, separator)
}
