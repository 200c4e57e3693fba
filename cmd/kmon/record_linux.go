package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kmon/record"
	"kmon/record/probe"
	"kmon/reports"
)

// runRecord records as the flags say, then tells in one line what came of it.
func runRecord(cmd *cobra.Command, f recordFlags) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	options.Writing = &record.Writing{}
	defer abandonOnSecondSignal(stderr, options.Writing)()
	followed := followRing(stderr, &options)
	stop := func() {}
	if len(f.command) == 0 { // else the terminal is the command's
		options.Status, stop = showStatus(stderr)
	}
	result, err := record.Run(cmd.Context(), options)
	stop()
	followed()
	if result.Path != "" || result.Ring != nil {
		fmt.Fprintln(stderr, cmp.Or(ringSummary(result, palette(wantsColour(stderr))), summary(result, palette(wantsColour(stderr)))))
		for _, w := range result.Warnings {
			fmt.Fprintf(stderr, "kmon: %s\n", oneLine(w))
		}
		for _, u := range result.Unresolved {
			fmt.Fprintf(stderr, "kmon: nothing was recorded for %s\n", oneLine(u))
		}
	}
	switch {
	case err == nil && result.ExitCode != 0:
		return exit(result.ExitCode, nil)
	case err != nil && os.Geteuid() != 0 && isPermission(err):
		return fmt.Errorf("recording needs root, or the capabilities to load eBPF programs (kmon doctor says which): %w", err)
	}
	return err
}

// isPermission reports whether the kernel refused err's operation. Kernel facts
// are plain values, so a refusal that is one of them is known by its text.
func isPermission(err error) bool {
	return errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), syscall.EPERM.Error())
}

// collectorNames lists what -e takes.
func collectorNames() []string { return probe.Collectors() }

// callNames lists what --syscalls takes.
func callNames() []string { return append(probe.CallNames(), probe.AllCalls, record.DefaultCalls) }

// options checks the flags and turns them into those of the library.
func (f *recordFlags) options() (record.Options, error) {
	if err := f.check(); err != nil {
		return record.Options{}, err
	}
	ports, err := f.portNumbers()
	if err != nil {
		return record.Options{}, err
	}
	pids, err := f.pidNumbers()
	if err != nil {
		return record.Options{}, err
	}
	conditions, err := f.ring.conditions()
	if err != nil {
		return record.Options{}, err
	}
	host := cmp.Or(record.HostName(f.hostRoot), "unknown")
	return record.Options{
		Output:         cmp.Or(f.output, f.ring.defaultName(host), record.DefaultName(host, time.Now())),
		Duration:       time.Duration(f.duration),
		MaxSizeBytes:   int64(f.bounds.maxSize.size),
		MinFreeBytes:   f.bounds.minFree.bytes(),
		Ring:           time.Duration(f.ring.length),
		Triggers:       conditions,
		NoLastDump:     f.ring.noLastDump,
		Rotate:         record.Rotation{SizeBytes: int64(f.rotate.when.size), Every: time.Duration(f.rotate.when.every), Count: f.rotate.count},
		Collectors:     f.collectors,
		PIDs:           pids,
		Services:       f.services,
		Cgroups:        f.cgroups,
		Ports:          ports,
		ConfigPath:     f.config,
		Interval:       time.Duration(f.interval),
		Syscalls:       f.syscalls,
		SyscallLatency: f.latency,
		Counts:         f.counts,
		OffCPUMin:      negativeIfZero(time.Duration(f.cpu.shortest.duration)),
		SampleHz:       negativeIfZero(f.cpu.sampleHz),
		UserStacks:     f.cpu.userStacks,
		NoCmdline:      f.noCmdline,
		MaxOverhead:    float64(f.overhead),
		Variants:       f.variants,
		HostRoot:       f.hostRoot,
		Command:        f.command,
		Version:        readBuild().Version,
		CommandLine:    os.Args,
	}, nil
}

// negativeIfZero is how an option says "none" whose zero means its default.
func negativeIfZero[N int | time.Duration](n N) N {
	if n == 0 {
		return -1
	}
	return n
}

// abandonOnSecondSignal ends the process at the second signal: the first has
// ended the recording by its context, and finishing the file takes too long for
// whoever sends another. The returned function ends the watch.
func abandonOnSecondSignal(stderr io.Writer, writing *record.Writing) (stop func()) {
	signals, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range 2 {
			select {
			case <-done:
				return
			case <-signals:
			}
		}
		if part := writing.Path(); part == "" {
			fmt.Fprintln(stderr, "kmon: abandoned before anything was recorded")
		} else {
			fmt.Fprintf(stderr, "kmon: abandoned; what was written is in %s (kmon repair %s)\n", part, part)
		}
		os.Exit(codeInterrupted)
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// showStatus shows how the recording is doing on stderr, if that is a
// terminal. The returned function wipes the line.
func showStatus(stderr io.Writer) (chan<- record.Status, func()) {
	if !isTerminal(stderr) {
		return nil, func() {}
	}
	p := palette(wantsColour(stderr))
	ctx, stop := context.WithCancel(context.Background())
	states, wiped := make(chan record.Status), make(chan struct{})
	go func() {
		defer close(wiped)
		for {
			select {
			case s := <-states:
				fmt.Fprintf(stderr, "\r\x1b[K%.0f s: %s rows, %s, %s%s", s.Elapsed.Seconds(), reports.CountText(s.Rows),
					reports.BytesText(s.SizeBytes), lossText(s.Lost, p), cmp.Or(keptText(s.Kept), partText(s.Part)))
			case <-ctx.Done():
				fmt.Fprint(stderr, "\r\x1b[K")
				return
			}
		}
	}()
	return states, func() {
		stop()
		<-wiped
	}
}

// summary is the line at the end: events, size, losses, the recorder's cost,
// the file.
func summary(r record.Result, p palette) string {
	rows, lost := int64(0), int64(0)
	for _, n := range r.Rows {
		rows += n
	}
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(r.Losses)) {
		if n := r.Losses[cause]; n > 0 {
			lost += n
			causes = append(causes, fmt.Sprintf("%s %s", cause, reports.CountText(n)))
		}
	}
	losses := lossText(lost, p)
	if len(causes) > 0 {
		losses += " (" + strings.Join(causes, ", ") + ")"
	}
	elapsed := time.Duration(r.DurationNs)
	own := fmt.Sprintf("%.1f%% of a core", percent(r.CPUNs, r.DurationNs))
	if r.BPFRunNs > 0 {
		own += fmt.Sprintf(" (its programs in the kernel about %.1f%% more)", percent(r.BPFRunNs, r.DurationNs))
	}
	return fmt.Sprintf("%s exchanges (%s rows) in %s, %s, %s, kmon's own %s and %s: %s",
		reports.CountText(r.Rows["exchanges"]), reports.CountText(rows), reports.DurationText(elapsed.Nanoseconds()), reports.BytesText(r.SizeBytes), losses,
		own, reports.BytesText(r.MaxRSSBytes), placeText(r))
}

// placeText says where the recording is.
func placeText(r record.Result) string {
	switch {
	case r.Parts == nil:
		return oneLine(r.Path)
	case r.Parts.Count == 1:
		return "1 part, " + oneLine(r.Path)
	}
	text := fmt.Sprintf("%d parts", r.Parts.Count)
	if r.Parts.Removed > 0 {
		text += fmt.Sprintf(", the oldest %d of them removed", r.Parts.Removed)
	}
	if r.Parts.First == r.Path {
		return text + ", " + oneLine(r.Path)
	}
	return text + ", " + oneLine(r.Parts.First) + " to " + oneLine(filepath.Base(r.Path))
}

// partText says which part is written; 0: there are none.
func partText(part int) string {
	if part == 0 {
		return ""
	}
	return fmt.Sprintf(", part %d", part)
}

// lossText counts what was lost, in red if anything was.
func lossText(lost int64, p palette) string {
	if lost == 0 {
		return "nothing lost"
	}
	return p.bad(reports.CountText(lost) + " lost")
}
