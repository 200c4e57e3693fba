package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"kmon/analyze/compare"
)

// Formats of a comparison beside those of an analysis.
const (
	JUnit Format = "junit" // a test case for each judged metric and threshold
	SARIF Format = "sarif" // 2.1.0, a result for each regression and failed threshold
)

// WriteComparison renders a comparison in format f to w. It does not change c.
// The error is that of w, or names an unknown format or a value the format
// cannot express.
func WriteComparison(w io.Writer, c *compare.Result, f Format, o Options) error {
	c = normalComparison(c)
	switch f {
	case Text:
		return writeComparisonText(w, c, o)
	case Markdown:
		return writeComparisonMarkdown(w, c, o)
	case HTML:
		return writeComparisonHTML(w, c, o)
	case JSON:
		return writeComparisonJSON(w, c)
	case JUnit:
		return writeJUnit(w, c)
	case SARIF:
		return writeSARIF(w, c)
	}
	return fmt.Errorf("comparison format %q is not known: use text, markdown, json, html, junit or sarif", f)
}

// ComparisonFormatForPath is FormatForPath for a comparison, which also has
// formats for programs that run tests.
func ComparisonFormatForPath(path string) (Format, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".xml":
		return JUnit, nil
	case ".sarif":
		return SARIF, nil
	}
	if f, err := FormatForPath(path); err == nil {
		return f, nil
	}
	return "", fmt.Errorf("report %s: the ending does not tell the format: use .html, .htm, .md, .json, .txt, .xml (JUnit) or .sarif", visible(path))
}

// writeComparisonJSON writes the result as it is, indented, with a line end.
func writeComparisonJSON(w io.Writer, c *compare.Result) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("comparison as JSON: %w", err)
	}
	return writeIndented(w, text, "comparison")
}

// normalComparison copies c so that no slice in it is nil that is not absent on
// purpose; the parts that are not changed are shared with c.
func normalComparison(c *compare.Result) *compare.Result {
	n := *c
	n.Reasons, n.Warnings = present(c.Reasons), present(c.Warnings)
	n.Appeared, n.Gone = present(c.Appeared), present(c.Gone)
	n.Changes = present(c.Changes)
	n.Thresholds = copied(c.Thresholds)
	for i := range n.Thresholds {
		n.Thresholds[i].Changes = present(n.Thresholds[i].Changes)
	}
	n.Base.Runs, n.New.Runs = normalRuns(c.Base.Runs), normalRuns(c.New.Runs)
	n.Load.Entries = present(c.Load.Entries)
	if c.Noise != nil {
		noise := *c.Noise
		noise.Runs = normalRuns(noise.Runs)
		n.Noise = &noise
	}
	return &n
}

func normalRuns(runs []compare.RunInfo) []compare.RunInfo {
	list := copied(runs)
	for i := range list {
		r := &list[i]
		r.Files, r.SHA256, r.Hosts = present(r.Files), present(r.SHA256), present(r.Hosts)
		r.Kernels, r.Versions = present(r.Kernels), present(r.Versions)
		r.Coverage, r.Problems = present(r.Coverage), present(r.Problems)
	}
	return list
}
