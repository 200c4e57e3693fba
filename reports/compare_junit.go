package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"

	"kmon/analyze/compare"
)

// The elements of a JUnit report, in the order of the common schema (Ant's, as
// Jenkins and GitLab read it); what only one of them requires is there, too.
type (
	junitReport struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Package    string          `xml:"package,attr"`
		ID         int             `xml:"id,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out"`
		Err        string          `xml:"system-err"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitAnswer `xml:"failure,omitempty"`
		Skipped *junitAnswer `xml:"skipped,omitempty"`
	}
	junitAnswer struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// noTime is how long a test case took: nothing ran.
const noTime = "0"

// writeJUnit writes a test case for the whole, each threshold and each metric:
// a regression or a threshold that was exceeded is a failure, what is
// inconclusive is skipped with its reason.
func writeJUnit(w io.Writer, c *compare.Result) error {
	suites := []junitSuite{
		newSuite(c, "kmon compare: outcome", 0, []junitCase{outcomeCase(c)}),
		newSuite(c, "kmon compare: thresholds", 1, thresholdCases(c)),
		newSuite(c, "kmon compare: metrics", 2, changeCases(c)),
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("junit report: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitReport{Suites: suites}); err != nil {
		return fmt.Errorf("junit report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// newSuite counts what cases came to. A suite of nothing stays, so that the
// numbers of the others do not change.
func newSuite(c *compare.Result, name string, id int, cases []junitCase) junitSuite {
	verdict := comparisonVerdict(c)
	s := junitSuite{Name: name, Package: "kmon", ID: id, Hostname: suiteHost(c), Timestamp: suiteTime(c), Tests: len(cases), Time: noTime, Cases: cases,
		Properties: []junitProperty{
			{"base", sideName(&c.Base)}, {"new", sideName(&c.New)}, {"kmon", nameText(c.Version)}, {"verdict", verdict},
		}}
	seen := map[string]int{}
	for i := range cases {
		x := &cases[i]
		if seen[x.Name]++; seen[x.Name] > 1 { // readers keep one of a name
			x.Name += " (" + strconv.Itoa(seen[x.Name]) + ")"
		}
		switch {
		case x.Failure != nil:
			s.Failures++
		case x.Skipped != nil:
			s.Skipped++
		}
	}
	return s
}

// suiteHost is where new was recorded.
func suiteHost(c *compare.Result) string {
	if len(c.New.Runs) > 0 && len(c.New.Runs[0].Hosts) > 0 && c.New.Runs[0].Hosts[0] != "" {
		return visible(c.New.Runs[0].Hosts[0])
	}
	return "localhost" // what the schema asks for when it is not known
}

// suiteTime is when the recording of new began, UTC; the schema allows no zone.
func suiteTime(c *compare.Result) string {
	ns := int64(0)
	if len(c.New.Runs) > 0 {
		ns = c.New.Runs[0].StartNs
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05")
}

// outcomeCase is the whole.
func outcomeCase(c *compare.Result) junitCase {
	state, loud := comparisonState(c)
	load, _ := loadText(c)
	text := comparisonVerdict(c) + "\n" + load + "\n" + sidesText(c) + "\n" + countsText(c)
	for _, n := range comparisonNotes(c) {
		text += "\n" + n
	}
	x := junitCase{Name: "outcome", Class: "kmon.compare", Time: noTime}
	switch loud {
	case toneBad:
		x.Failure = &junitAnswer{comparisonVerdict(c), state, text}
	case toneWarn:
		x.Skipped = &junitAnswer{comparisonVerdict(c), state, text}
	}
	return x
}

// thresholdCases are the thresholds.
func thresholdCases(c *compare.Result) []junitCase {
	cases := []junitCase{}
	for i := range c.Thresholds {
		j := &c.Thresholds[i]
		x := junitCase{Name: nameText(j.Text), Class: "kmon.threshold", Time: noTime}
		reason := visible(j.Reason)
		switch j.Outcome {
		case compare.Failed:
			x.Failure = &junitAnswer{reason, "threshold", nameText(j.Text) + ": " + reason}
		case compare.Undecided:
			x.Skipped = &junitAnswer{reason, "inconclusive", reason}
		}
		cases = append(cases, x)
	}
	return cases
}

// changeCases are the metrics.
func changeCases(c *compare.Result) []junitCase {
	cases := []junitCase{}
	for i := range c.Changes {
		x := &c.Changes[i]
		t := junitCase{Name: nameText(x.Subject.Name) + ": " + visible(metricTitle(x)), Class: "kmon." + nameText(x.Subject.Type), Time: noTime}
		switch x.Outcome {
		case compare.Regression:
			t.Failure = &junitAnswer{changeSentence(x), "regression", changeSentence(x) + "\n" + sidesText(c)}
		case compare.Inconclusive:
			t.Skipped = &junitAnswer{visible(x.Reason), "inconclusive", visible(x.Reason)}
		}
		cases = append(cases, t)
	}
	return cases
}

// changeSentence says what a metric of whom changed by.
func changeSentence(x *change) string {
	text := visible(x.Title) + " of " + nameText(x.Subject.Name) + ": " + changeText(x) + ", from " + valueText(x.Unit, x.Base) + " (BASE) to " + valueText(x.Unit, x.New) + " (NEW)"
	details := []string{}
	if x.Interval != nil {
		details = append(details, "interval "+intervalText(x.Interval))
	}
	if x.Common != nil {
		details = append(details, "besides "+commonText(x)+" that other services show, too")
	}
	if x.Adjusted != nil {
		details = append(details, "p "+chanceText(x.Adjusted))
	}
	for i, d := range details {
		text += [2]string{"; ", ", "}[min(i, 1)] + d
	}
	return text
}
