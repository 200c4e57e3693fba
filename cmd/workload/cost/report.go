package main

import (
	"fmt"
	"io"
)

// report writes the table of one load as Markdown.
func report(out io.Writer, load string, o options, rounds []round) {
	kept := 0
	for _, r := range rounds {
		if !r.discarded {
			kept++
		}
	}
	rate := func(r result) float64 { return r.Rate }
	cpu := func(r result) float64 { return r.CPUNs }
	fmt.Fprintf(out, "\n### %s: %d rounds, %d thrown away for foreign CPU, %s requests/s off\n\n", load, kept, len(rounds)-kept,
		show(column(rounds, off, rate), "%.0f"))
	if kept < o.rounds {
		fmt.Fprintf(out, "Only %d of the %d rounds asked for count: the machine was too busy.\n\n", kept, o.rounds)
	}
	fmt.Fprintln(out, "Ratios are against the neighbouring off runs: median [least–greatest].")
	fmt.Fprintln(out)
	fmt.Fprintln(out, "| recorder | throughput | CPU per request | recorder CPU, % of a core | VmHWM, MiB | bytes/request | lost | recorded − served | stop, ms |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|")
	fmt.Fprintf(out, "| off against off | %s | %s | | | | | | |\n", show(noise(rounds, rate), "%.3f"), show(noise(rounds, cpu), "%.3f"))
	for _, name := range o.recorders {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name,
			show(ratios(rounds, name, rate), "%.3f"), show(ratios(rounds, name, cpu), "%.3f"),
			show(column(rounds, name, func(r result) float64 { return r.CPUPercent }), "%.1f"),
			show(column(rounds, name, func(r result) float64 { return float64(r.PeakBytes) / (1 << 20) }), "%.1f"),
			show(column(rounds, name, func(r result) float64 { return float64(r.FileBytes) / float64(r.Requests) }), "%.2f"),
			show(column(rounds, name, func(r result) float64 { return float64(r.Lost) }), "%.0f"),
			show(missing(rounds, name), "%.0f"),
			show(column(rounds, name, func(r result) float64 { return r.StopMs }), "%.0f"))
	}
}

// column gives a value of each run of a recorder in the rounds that count.
func column(rounds []round, recorder string, value func(result) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		for _, run := range r.runs {
			if !r.discarded && run.Recorder == recorder {
				all = append(all, value(run))
			}
		}
	}
	return all
}

// missing gives, for recorders that know requests, those recorded minus those
// the server counted. It looks at all rounds: others' CPU time excuses no loss.
func missing(rounds []round, recorder string) []float64 {
	var all []float64
	for _, r := range rounds {
		for _, run := range r.runs {
			if run.Recorder == recorder && run.Seen != nil {
				all = append(all, float64(*run.Seen-run.Served))
			}
		}
	}
	return all
}

// show writes a spread, and a dash where nothing was measured.
func show(values []float64, format string) string {
	s, ok := spreadOf(values)
	if !ok {
		return "–"
	}
	if s.least == s.greatest {
		return fmt.Sprintf(format, s.median)
	}
	return fmt.Sprintf(format+" ["+format+"–"+format+"]", s.median, s.least, s.greatest)
}
