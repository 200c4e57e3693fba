package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kmon/record"
)

// runDoctor shows what can be recorded here, and ends with what comes of it.
func runDoctor(cmd *cobra.Command, form, hostRoot string) error {
	checkup, err := record.Doctor(readBuild().Version, hostRoot)
	if err != nil {
		return err
	}
	stdout := cmd.OutOrStdout()
	if form == formJSON {
		err = writeJSON(stdout, checkup)
	} else {
		p := palette(wantsColour(stdout))
		err = buffered(stdout, func(w io.Writer) error { return showCheckup(w, checkup, p) })
	}
	if err != nil {
		return err
	}
	switch checkup.Verdict {
	case record.VerdictAll:
		return nil
	case record.VerdictSome:
		return exit(codeGate, nil)
	}
	return exit(codeError, nil)
}

// showCheckup writes what can be recorded, what was looked at, what to change,
// and the verdict.
func showCheckup(w io.Writer, c record.Checkup, p palette) error {
	fmt.Fprintf(w, "kmon %s on %s, kernel %s, %s\n\n", c.KmonVersion, oneLine(known(c.Machine.OS)), oneLine(known(c.Machine.Kernel)), c.Machine.Arch)
	if c.Refusal == "" {
		writeColumns(w, indicatorRows(c), 2, p)
		fmt.Fprintln(w)
	}
	checks := [][]string{{"check", "", "state", "found"}}
	for _, check := range c.Checks {
		checks = append(checks, []string{check.Name, "", string(check.State), check.Found})
	}
	writeColumns(w, checks, 2, p)
	writeList(w, "not seen without privileges", c.Unseen)
	title := "what to change"
	if c.Verdict == record.VerdictAll {
		title = "what would add to it"
	}
	writeList(w, title, c.Mends)
	fmt.Fprintln(w)
	for _, line := range conclusion(c, p) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func indicatorRows(c record.Checkup) [][]string {
	rows := [][]string{{"collector", "indicator", "state", "by"}}
	for _, of := range c.Collectors {
		name := of.Name
		if !of.Default {
			name += " *"
		}
		for _, in := range of.Indicators {
			rows = append(rows, []string{name, in.Name, string(in.State), carrier(in)})
			name = ""
		}
	}
	return rows
}

// carrier is what carries an indicator, and why nothing better does, or nothing.
func carrier(in record.IndicatorState) string {
	if in.State == record.StateMissing {
		return in.Why
	}
	for i, rung := range in.Ladder {
		if rung.Variant == in.Variant && i > 0 {
			why := in.Ladder[0].Why
			if why == "" {
				why = "it goes with that of another indicator"
			}
			return fmt.Sprintf("%s, variant %d of %d (%s: %s)", in.Variant, i+1, len(in.Ladder), in.Ladder[0].Variant, why)
		}
	}
	return in.Variant
}

// writeColumns writes rows under their heads, the column of states in colours.
// The last column has no width.
func writeColumns(w io.Writer, rows [][]string, states int, p palette) {
	widths := make([]int, len(rows[0])-1)
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for n, row := range rows {
		for i, width := range widths {
			if width == 0 {
				continue
			}
			cell := fmt.Sprintf("%-*s", width, oneLine(row[i]))
			if i == states && n > 0 {
				cell = stateColour(row[i], cell, p)
			}
			fmt.Fprint(w, cell, "  ")
		}
		fmt.Fprintln(w, oneLine(row[len(row)-1]))
	}
}

func stateColour(state, cell string, p palette) string {
	switch state {
	case string(record.StateMissing):
		return p.bad(cell)
	case string(record.StateLoaded), string(record.CheckOK):
		return p.good(cell)
	}
	return cell
}

func writeList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", oneLine(line))
	}
}

// conclusion says in a sentence or two what comes of it all.
func conclusion(c record.Checkup, p palette) []string {
	switch {
	case c.Refusal != "":
		return []string{p.bad(oneLine("nothing can be recorded here: " + c.Refusal))}
	case !c.Allowed:
		return append([]string{p.bad("nothing can be recorded by this process; with root, what is planned above")}, instead(c)...)
	case c.Verdict == record.VerdictAll:
		return []string{p.good("all that kmon record records by default can be recorded here")}
	case c.Verdict == record.VerdictNone:
		return []string{p.bad("nothing can be recorded here")}
	}
	return append([]string{p.bad("not everything can be recorded here as it should: see what is missing above")}, instead(c)...)
}

// instead says how to record when kmon record by itself refuses.
func instead(c record.Checkup) []string {
	if c.DefaultRefusal == "" || len(c.InsteadCollectors) == 0 {
		return nil
	}
	return []string{
		oneLine("kmon record alone refuses: " + c.DefaultRefusal),
		"these can be recorded: kmon record -e " + strings.Join(c.InsteadCollectors, ","),
	}
}
