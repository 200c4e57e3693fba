package reports

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"kmon/analyze"
)

// Format is an output format.
type Format string

// The formats Write knows.
const (
	Text     Format = "text"
	Markdown Format = "markdown"
	JSON     Format = "json"
	HTML     Format = "html"
)

// Options are the choices of the reader, not of the data.
type Options struct {
	// Color lets text use terminal colours. Other formats ignore it.
	Color bool
	// Width is the terminal's width in columns. 0 means no terminal: text
	// then cuts no name and leaves out no row or column.
	Width int
	// Command is the command line that made the report, for the foot of
	// Markdown and HTML; "" leaves it out.
	Command string
}

// Write renders a in format f to w. It does not change a. The error is that
// of w, or names an unknown format or a value the format cannot express.
func Write(w io.Writer, a *analyze.Analysis, f Format, o Options) error {
	a = normal(a)
	switch f {
	case Text:
		return writeText(w, a, o)
	case Markdown:
		return writeMarkdown(w, a, o)
	case JSON:
		return writeJSON(w, a)
	case HTML:
		return writeHTML(w, a, o)
	}
	return fmt.Errorf("report format %q is not known: use text, markdown, json or html", f)
}

// FormatForPath gives the format that belongs to the ending of path. The
// error lists the endings that are known.
func FormatForPath(path string) (Format, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".html", ".htm":
		return HTML, nil
	case ".md":
		return Markdown, nil
	case ".json":
		return JSON, nil
	case ".txt":
		return Text, nil
	}
	return "", fmt.Errorf("report %s: the ending does not tell the format: use .html, .htm, .md, .json or .txt", visible(path))
}

// normal copies a so that no slice or map in it is nil; the parts that are
// not changed are shared with a.
func normal(a *analyze.Analysis) *analyze.Analysis {
	n := *a
	n.Captures = copied(a.Captures)
	for i := range n.Captures {
		c := &n.Captures[i]
		c.Collectors = present(c.Collectors)
		c.Coverage = present(c.Coverage)
		c.Problems = present(c.Problems)
		if c.Rows == nil {
			c.Rows = map[string]int64{}
		}
	}
	normalFindings(&n)
	n.Services = copied(a.Services)
	for i := range n.Services {
		s := &n.Services[i]
		s.Series = present(s.Series)
		s.Instances = copied(s.Instances)
		for j := range s.Instances {
			s.Instances[j].PIDs = present(s.Instances[j].PIDs)
		}
	}
	n.Series = present(a.Series)
	n.Edges = copied(a.Edges)
	for i := range n.Edges {
		n.Edges[i].Series = present(n.Edges[i].Series)
	}
	n.Connections, n.Examples = present(a.Connections), present(a.Examples)
	n.Disks = normalDisks(a.Disks)
	normalNetwork(&n)
	n.Losses = present(a.Losses)
	n.Marks = present(a.Marks)
	n.Warnings = present(a.Warnings)
	return &n
}

// present is s, or an empty slice for nil.
func present[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// copied is a copy of s that is never nil.
func copied[T any](s []T) []T {
	return append(make([]T, 0, len(s)), s...)
}
