package finding

import (
	"errors"
	"fmt"
	"math"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ruleTable is a table of thresholds as it was written.
type ruleTable struct {
	version, versionLine int
	entries              []ruleEntry // in the order of the text
}

// ruleEntry is one threshold and the line it stands in, from 1.
type ruleEntry struct {
	section, name string
	value         float64
	line          int
}

// parseTable reads a table of thresholds: a version, and sections of names with
// numbers from 0. Its errors begin with the line, where there is one.
func parseTable(text []byte) (t *ruleTable, err error) {
	defer func() { // the YAML library must not take the analysis down
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("not YAML that can be read: %v", r)
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	t = &ruleTable{}
	if len(file.Docs) > 1 {
		return nil, fmt.Errorf("holds %d YAML documents, remove all but one", len(file.Docs))
	}
	for _, doc := range file.Docs {
		if _, empty := doc.Body.(*ast.NullNode); empty || doc.Body == nil {
			continue
		}
		if err := t.read(doc.Body); err != nil {
			return nil, err
		}
	}
	if t.version == 0 {
		return nil, errors.New("version is missing: begin from kmon's own rules (kmon analyze --print-rules)")
	}
	return t, nil
}

// read adds what stands in the document.
func (t *ruleTable) read(body ast.Node) error {
	sections, ok := body.(ast.MapNode)
	if !ok {
		return errors.New("no table of thresholds: begin from kmon's own rules (kmon analyze --print-rules)")
	}
	for s := sections.MapRange(); s.Next(); {
		section, line := keyOf(s)
		if section == "version" {
			version, ok := numberOf(s.Value())
			if !ok || version != math.Trunc(version) || version < 1 || version > math.MaxInt32 {
				return fmt.Errorf("line %d: version is no whole number from 1", line)
			}
			t.version, t.versionLine = int(version), line
			continue
		}
		names, ok := s.Value().(ast.MapNode)
		if !ok {
			return fmt.Errorf("line %d: %s is no list of thresholds (name: number)", line, section)
		}
		for n := names.MapRange(); n.Next(); {
			name, line := keyOf(n)
			value, ok := numberOf(n.Value())
			if !ok {
				return fmt.Errorf("line %d: %s of %s is no number from 0", line, name, section)
			}
			t.entries = append(t.entries, ruleEntry{section, name, value, line})
		}
	}
	return nil
}

// keyOf gives a key and its line.
func keyOf(at *ast.MapNodeIter) (key string, line int) {
	token := at.Key().GetToken()
	return token.Value, token.Position.Line
}

// numberOf gives a number from 0; ok is false for all else.
func numberOf(node ast.Node) (value float64, ok bool) {
	scalar, ok := node.(ast.ScalarNode)
	if !ok {
		return 0, false
	}
	switch n := scalar.GetValue().(type) {
	case float64:
		value = n
	case uint64:
		value = float64(n)
	default: // what is less than 0 is an int64
		return 0, false
	}
	return value, value >= 0 && !math.IsInf(value, 0)
}

// yamlError puts the line before the YAML library's message.
func yamlError(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return err
	}
	if t := at.GetToken(); t != nil && t.Position != nil {
		return fmt.Errorf("line %d: %s", t.Position.Line, at.GetMessage())
	}
	return errors.New(at.GetMessage())
}
