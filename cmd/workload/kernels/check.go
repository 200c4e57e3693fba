package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kmon/analyze"
	"kmon/format"
)

// What a trial leaves, by the ending of its name; its truths are in a
// directory of its name.
const (
	captureEnding = ".kmon"
	logEnding     = ".log"
	codeEnding    = ".code"
)

// earlyName is the truth of the early load.
const earlyName = "early.json"

func truthName(i int, l load) string { return fmt.Sprintf("%02d-%s.json", i, l[0]) }

// result is what came of a trial.
type result struct {
	saw   string // in one line
	wrong []string
}

func (r *result) String() string {
	if len(r.wrong) == 0 {
		return "ok: " + r.saw
	}
	return "WRONG:\n      " + strings.Join(r.wrong, "\n      ")
}

// expect notes that something is not as it should be.
func (r *result) expect(what string, got, want any) {
	if got != want {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}

func (r *result) fail(err error) {
	if err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
}

// check holds what a trial left in a directory against its truths.
func (t trial) check(ctx context.Context, dir, release string) *result {
	r := &result{}
	path := filepath.Join(dir, t.Name)
	code, err := os.ReadFile(path + codeEnding)
	log, err2 := os.ReadFile(path + logEnding)
	if err := errors.Join(err, err2); err != nil {
		r.fail(fmt.Errorf("the guest did not come to this trial: %w", err))
		return r
	}
	if t.refusal != "" {
		t.checkRefusal(r, string(code), string(log))
		return r
	}
	if string(code) != "0" {
		r.fail(fmt.Errorf("exit code %s: %s", code, log))
		return r
	}
	if len(t.Fault) > 0 {
		r.fail(t.checkFault(ctx, r, path))
		return r
	}
	truths, err := t.readTruths(path)
	if err != nil {
		r.fail(err)
		return r
	}
	r.fail(t.checkRows(ctx, r, path+captureEnding, truths))
	r.fail(t.checkAnalysis(ctx, r, path+captureEnding, release, truths))
	return r
}

// checkRefusal holds that kmon ended with one clear sentence.
func (t trial) checkRefusal(r *result, code, log string) {
	r.saw = strings.TrimSpace(log)
	r.expect("exit code", code, "2")
	if !strings.Contains(log, t.refusal) || strings.Count(r.saw, "\n") > 0 {
		r.fail(fmt.Errorf("kmon is to refuse in one line with %q, and says: %s", t.refusal, log))
	}
}

// readTruths reads what the loads counted, the early one last.
func (t trial) readTruths(dir string) ([]truth, error) {
	var truths []truth
	for i, l := range append(slices.Clone(t.Loads), earlyLoad) {
		name := earlyName
		if i < len(t.Loads) {
			name = truthName(i, l)
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		truth := truth{load: l, early: name == earlyName}
		if err := json.Unmarshal(text, &truth); err != nil {
			return nil, fmt.Errorf("%s of %s: %w", name, dir, err)
		}
		truths = append(truths, truth)
	}
	return truths, nil
}

// checkRows holds the rows of a capture against what the processes counted.
func (t trial) checkRows(ctx context.Context, r *result, path string, truths []truth) error {
	report, err := format.Verify(ctx, path)
	if err != nil {
		return err
	}
	for _, problem := range report.Problems {
		r.fail(errors.New(problem.String()))
	}
	capture, err := format.Open(path)
	if err != nil {
		return err
	}
	defer capture.Close()
	for indicator, want := range t.want {
		at := slices.IndexFunc(capture.Manifest.Collectors, func(c format.Collector) bool { return c.Variants[indicator] != "" })
		if at < 0 {
			r.fail(fmt.Errorf("indicator %s was not recorded", indicator))
			continue
		}
		r.expect("variant of "+indicator, capture.Manifest.Collectors[at].Variants[indicator], want)
	}
	rows, err := readTraffic(capture)
	if err != nil {
		return err
	}
	for _, truth := range truths {
		rows.check(r, truth)
	}
	return errors.Join(checkThreads(r, capture, truths), checkFaults(r, capture, truths), checkDisks(r, capture, truths), checkClocks(r, capture, truths))
}

// checkAnalysis holds the analysis of a capture against what the services
// counted. Runs of programs that the kernel passed over, because an interrupt met
// the same program at work, are no fault of the recorder's: it has to tell them, and
// the numbers have to be right all the same.
func (t trial) checkAnalysis(ctx context.Context, r *result, path, release string, truths []truth) error {
	a, err := analyze.Run(ctx, []string{path}, analyze.Options{})
	if err != nil {
		return err
	}
	r.expect("kernel", a.Captures[0].Kernel, release)
	passedOver := int64(0)
	for _, loss := range a.Losses {
		if loss.Cause == format.LossMissedHit.String() {
			passedOver += loss.Count
			continue
		}
		r.fail(fmt.Errorf("lost: %d of %s, %s (%s)", loss.Count, loss.Table, loss.Cause, loss.Collector))
	}
	want := map[string]int64{}
	for _, truth := range truths {
		for _, s := range truth.Services {
			want[s.Name] += s.Requests
		}
	}
	requests := int64(0)
	for _, s := range a.Services {
		if n, served := want[s.Name]; served {
			r.expect("requests of "+s.Name, s.Requests, n)
			delete(want, s.Name)
			requests += s.Requests
		}
	}
	for name := range want {
		r.fail(fmt.Errorf("no service %s", name))
	}
	r.saw = fmt.Sprintf("%d requests", requests)
	if passedOver > 0 {
		r.saw += fmt.Sprintf(", %d runs of programs passed over by the kernel", passedOver)
	}
	return nil
}
