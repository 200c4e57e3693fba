package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"kmon/analyze/compare"
)

// sarifSchema is where the schema of SARIF 2.1.0 is published.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// The objects of a SARIF log, as far as a comparison needs them.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
		Properties  map[string]string `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID       string             `json:"id"`
		Name     string             `json:"name"`
		Short    sarifMessage       `json:"shortDescription"`
		Full     sarifMessage       `json:"fullDescription"`
		Help     sarifMessage       `json:"help"`
		Defaults sarifConfiguration `json:"defaultConfiguration"`
	}
	sarifConfiguration struct {
		Level string `json:"level"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]any    `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	// A capture has no lines, but GitHub requires them.
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	sarifLogical struct {
		Name          string `json:"name"`
		QualifiedName string `json:"fullyQualifiedName"`
		Kind          string `json:"kind"`
	}
)

// Rules by their place in the log.
const (
	regressionRule = iota
	thresholdRule
)

var sarifRules = []sarifRule{
	{ID: "kmon/regression", Name: "Regression", Defaults: sarifConfiguration{"error"},
		Short: sarifMessage{"NEW is worse than BASE"},
		Full:  sarifMessage{"A metric of a service or an edge is worse in the new recording than in the base recording, by more than chance, than the least change that counts, and than identical runs differ by."},
		Help:  sarifMessage{"kmon compare with -o report.html shows the evidence and where the CPU time changed."}},
	{ID: "kmon/threshold", Name: "ThresholdExceeded", Defaults: sarifConfiguration{"error"},
		Short: sarifMessage{"A threshold was exceeded"},
		Full:  sarifMessage{"The change from the base recording to the new one is larger than a --threshold allows."},
		Help:  sarifMessage{"kmon compare --help explains thresholds."}},
}

// writeSARIF writes a result for each regression and each threshold that was
// exceeded. What is inconclusive is a notification: a log without results does
// not mean that nothing got worse.
func writeSARIF(w io.Writer, c *compare.Result) error {
	state, _ := comparisonState(c)
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "kmon", Version: visible(c.Version), Rules: sarifRules}},
		Invocations: []sarifInvocation{{Successful: true, Notifications: notifications(c)}},
		Results:     []sarifResult{}, ColumnKind: "unicodeCodePoints",
		Properties: map[string]string{"outcome": state, "verdict": comparisonVerdict(c), "base": sideName(&c.Base), "new": sideName(&c.New)},
	}
	for i := range c.Thresholds {
		if c.Thresholds[i].Outcome == compare.Failed {
			run.Results = append(run.Results, thresholdResult(c, &c.Thresholds[i]))
		}
	}
	for _, x := range withOutcome(c, compare.Regression) {
		run.Results = append(run.Results, regressionResult(c, &x))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(sarifLog{sarifSchema, "2.1.0", []sarifRun{run}}); err != nil {
		return fmt.Errorf("sarif report: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("sarif report: %w", err)
	}
	return nil
}

// notifications say what a reader of the results must know.
func notifications(c *compare.Result) []sarifNotification {
	list := []sarifNotification{}
	if _, loud := comparisonState(c); loud == toneWarn {
		list = append(list, sarifNotification{"warning", sarifMessage{"Inconclusive, which is not “no regression”: " + comparisonVerdict(c)}})
	}
	for i := range c.Thresholds {
		if j := &c.Thresholds[i]; j.Outcome == compare.Undecided {
			list = append(list, sarifNotification{"warning", sarifMessage{"Threshold " + nameText(j.Text) + " could not be judged: " + visible(j.Reason)}})
		}
	}
	if load, loud := loadText(c); loud != toneNone {
		list = append(list, sarifNotification{"warning", sarifMessage{load}})
	}
	for _, n := range comparisonNotes(c) {
		list = append(list, sarifNotification{"note", sarifMessage{n}})
	}
	return list
}

// regressionResult is one regression.
func regressionResult(c *compare.Result, x *change) sarifResult {
	properties := map[string]any{"subject": visible(x.Subject.Name), "metric": string(x.Metric), "unit": x.Unit}
	for name, v := range map[string]*float64{"relative": x.Relative, "absolute": x.Absolute, "pAdjusted": x.Adjusted} {
		if v != nil {
			properties[name] = *v
		}
	}
	return sarifResult{
		RuleID: sarifRules[regressionRule].ID, RuleIndex: regressionRule, Level: "error",
		Message:      sarifMessage{changeSentence(x) + "."},
		Locations:    location(c, x.Subject.Type, x.Subject.Name),
		Fingerprints: fingerprint(x.Subject.Type, x.Subject.Name, string(x.Metric), x.End),
		Properties:   properties,
	}
}

// thresholdResult is one threshold that was exceeded.
func thresholdResult(c *compare.Result, j *compare.Judged) sarifResult {
	return sarifResult{
		RuleID: sarifRules[thresholdRule].ID, RuleIndex: thresholdRule, Level: "error",
		Message:      sarifMessage{"Threshold " + nameText(j.Text) + " exceeded: " + visible(j.Reason)},
		Locations:    location(c, "threshold", j.Text),
		Fingerprints: fingerprint("threshold", j.Text),
	}
}

// location is the first file of new, and the service or edge in it.
func location(c *compare.Result, kind, name string) []sarifLocation {
	file := "capture"
	if len(c.New.Runs) > 0 && len(c.New.Runs[0].Files) > 0 {
		file = c.New.Runs[0].Files[0]
	}
	return []sarifLocation{{
		Physical: sarifPhysical{sarifArtifact{fileURI(file)}, sarifRegion{1, 1, 1, 1}},
		Logical:  []sarifLogical{{Name: visible(name), QualifiedName: visible(kind + " " + name), Kind: "module"}},
	}}
}

// fileURI makes a path a reference: of what a URI cannot hold, or would take
// for more than a part of a path, the escapes. A path from the root, or of a drive,
// becomes a URI of scheme file, as SARIF wants it.
func fileURI(path string) string {
	path = strings.ReplaceAll(path, `\`, "/")
	scheme := ""
	switch {
	case strings.HasPrefix(path, "/"):
		scheme = "file://"
		path = "/" + strings.TrimLeft(path, "/") // a further one would begin a host
	case len(path) > 2 && path[1] == ':' && path[2] == '/':
		scheme = "file:///"
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(p), ":", "%3A")
	}
	return scheme + strings.Join(parts, "/")
}

// fingerprint makes the same result of another comparison known as the same.
// GitHub goes by primaryLocationLineHash alone, which it would compute of the
// line, the same for all results of a capture.
func fingerprint(parts ...string) map[string]string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return map[string]string{"kmonSubject/v1": hex.EncodeToString(sum[:16]), "primaryLocationLineHash": hex.EncodeToString(sum[:8]) + ":1"}
}
