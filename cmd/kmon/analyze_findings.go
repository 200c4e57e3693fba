package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kmon/analyze"
	"kmon/analyze/finding"
)

// findingFlags is the part of analyze's command line that concerns findings.
type findingFlags struct {
	baseline   []string
	rules      string
	printRules bool
	failOn     string
}

// register adds the flags to analyze.
func (f *findingFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.baseline, "baseline", nil, "compare with this healthy `CAPTURE` of the same nodes; repeatable")
	flags.StringVar(&f.rules, "rules", "", "thresholds of the findings from this YAML `FILE`, which needs only what it changes")
	flags.BoolVar(&f.printRules, "print-rules", false, "write the thresholds as they come, and what each means")
	flags.StringVar(&f.failOn, "fail-on", "", "end with 1 if there is a finding of this `SEVERITY` or above: warning or critical")
	must(cmd.RegisterFlagCompletionFunc("baseline", completeEndings(strings.TrimPrefix(captureEnding, "."))))
	must(cmd.RegisterFlagCompletionFunc("rules", completeEndings("yaml", "yml")))
	must(cmd.RegisterFlagCompletionFunc("fail-on", completeWords(string(finding.Warning), string(finding.Critical))))
}

// check refuses what cannot be obeyed, before the work.
func (f findingFlags) check(captures []string) error {
	switch f.failOn {
	case "", string(finding.Warning):
	case string(finding.Critical):
		if len(f.baseline) == 0 {
			return usagef("--fail-on critical can never fail without --baseline, for then no finding is more than a warning: add a baseline or use --fail-on warning")
		}
	default:
		return usagef("--fail-on %q is no severity to fail on: warning or critical", f.failOn)
	}
	if err := distinct(f.baseline); err != nil {
		return err
	}
	if same := sameFile(captures, f.baseline); same != "" {
		return usagef("%s is capture and --baseline at once: what is compared with itself shows nothing", same)
	}
	return nil
}

// sameFile gives the first of a that is also in b; "" when there is none.
func sameFile(a, b []string) string {
	for _, path := range a {
		info, err := os.Stat(path)
		if err != nil {
			continue // analyze tells
		}
		for _, other := range b {
			if o, err := os.Stat(other); err == nil && os.SameFile(info, o) {
				return path
			}
		}
	}
	return ""
}

// maxRules bounds a file of thresholds, in bytes.
const maxRules = 1 << 20

// thresholds gives the rules to judge by; nil: as they come.
func (f findingFlags) thresholds() (*finding.Rules, error) {
	if f.rules == "" {
		return nil, nil
	}
	file, err := os.Open(f.rules)
	if err != nil {
		return nil, explain(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRules+1))
	if err != nil {
		return nil, explain(err)
	}
	if len(text) > maxRules {
		return nil, fmt.Errorf("--rules %s: is larger than %d bytes, which no table of thresholds is", f.rules, maxRules)
	}
	rules, err := finding.DefaultRules().Override(text)
	if err != nil {
		return nil, fmt.Errorf("--rules %s: %w", f.rules, err)
	}
	return rules, nil
}

// gate is the error that ends analyze when --fail-on was given: codeGate for a
// finding that is severe enough, codeInconclusive where its absence proves nothing.
func (f findingFlags) gate(a *analyze.Analysis, stderr io.Writer) error {
	if f.failOn == "" {
		return inconclusive(a)
	}
	var severe []error
	for i := range a.Findings {
		s := a.Findings[i].Severity
		if s == finding.Critical || s == finding.Warning && f.failOn == string(finding.Warning) {
			severe = append(severe, fmt.Errorf("%s: %s: %s", s, a.Findings[i].Kind, oneLine(a.Findings[i].Title)))
		}
	}
	if len(severe) > 0 {
		return exit(codeGate, errors.Join(severe...))
	}
	if err := inconclusive(a); err != nil {
		return err
	}
	return blind(a, stderr)
}

// blind is the error that ends analyze when that nothing was found proves nothing.
// Kinds that could not be judged for other reasons are named on stderr.
func blind(a *analyze.Analysis, stderr io.Writer) error {
	for _, c := range a.Captures {
		for _, t := range c.Coverage {
			if t.Seen+t.Lost > 0 && t.Ratio < minCoverage {
				return exit(codeInconclusive, fmt.Errorf("%s: inconclusive: no finding, but of %s only %.0f%% was recorded (coverage %.2f, needed %.1f)",
					c.File, t.Table, 100*t.Ratio, t.Ratio, minCoverage))
			}
		}
		for _, k := range c.Collectors {
			if k.Failed() {
				return exit(codeInconclusive, fmt.Errorf("%s: inconclusive: no finding, but collector %s recorded nothing: %s", c.File, k.Name, oneLine(k.Missing)))
			}
		}
	}
	not, none := a.Unjudged()
	if none {
		return exit(codeInconclusive, errors.New("inconclusive: no finding, but no kind of fault could be judged: the report says why"))
	}
	if len(not) > 0 {
		fmt.Fprintf(stderr, "kmon: no finding to fail on; not judged, the report says why: %s\n", strings.Join(not, ", "))
	}
	return nil
}
