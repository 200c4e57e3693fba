package format

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ReadableText is a text that stands in a capture.
type ReadableText struct {
	Text string
	// Where is table.column, a member of manifest.json or final.json, or an entry.
	Where string
	Count int64 // how often it stands there
}

// Pseudonym says whether the text has the form of one that Redact makes of a
// name. An address does not tell.
func (t ReadableText) Pseudonym() bool { return pseudonymForm.MatchString(t.Text) }

var pseudonymForm = regexp.MustCompile(`^[a-z]+-[a-z2-7]{8}$`)

// maxReadable is how many texts are told.
const maxReadable = 1 << 18

// readable collects texts.
type readable struct {
	counts  map[pseudonymOf]int64 // where and text → how often
	further int64
}

func (r *readable) add(where, text string) {
	k := pseudonymOf{where, text}
	if _, known := r.counts[k]; !known {
		if len(r.counts) >= maxReadable {
			r.further++
			return
		}
		k = pseudonymOf{where, strings.Clone(text)} // text is a part of its page
	}
	r.counts[k]++
}

// ReadableTexts gives every text in a capture, by place: of all tables, also those
// that this version does not know, of manifest.json and final.json, and of
// README.txt what is not this version's own. Damaged segments are left out and
// become Problems of c. further counts what was too much to tell.
func ReadableTexts(c *Capture) (texts []ReadableText, further int64, err error) {
	r := &readable{counts: map[pseudonymOf]int64{}}
	for _, table := range c.Tables() {
		r.add("entries", table)
		err := c.eachSegment(table, func(columns []columnValues, _ int) error {
			r.addColumns(table, columns)
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	for _, f := range filesOf(c) {
		r.addEntries(f)
	}
	for k, n := range r.counts {
		texts = append(texts, ReadableText{Text: k.text, Where: k.class, Count: n})
	}
	slices.SortFunc(texts, func(a, b ReadableText) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Text, b.Text))
	})
	return texts, r.further, nil
}

// filesOf gives the files of a capture.
func filesOf(c *Capture) []*Capture {
	if c.parts == nil {
		return []*Capture{c}
	}
	return c.parts
}

func (r *readable) addColumns(table string, columns []columnValues) {
	for i := range columns {
		v := &columns[i]
		where := table + "." + v.name
		for _, text := range v.texts {
			if text != "" {
				r.add(where, text)
			}
		}
	}
}

// addEntries adds what is no table.
func (r *readable) addEntries(c *Capture) {
	for _, e := range c.entries {
		switch {
		case segmentName.MatchString(e.name):
		case e.name == manifestName, e.name == finalName:
			r.addJSON(c, e)
		case e.name == readmeName:
			r.addReadme(c, e)
		default:
			r.add("entries", e.name)
		}
	}
}

func (r *readable) addJSON(c *Capture, e entry) {
	data, err := c.readJSON(e.name)
	var value any
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		err = d.Decode(&value)
	}
	if err != nil {
		c.damage(e.name, e.offset, err)
		return
	}
	r.addValue(e.name, value)
}

// addValue adds the texts of a JSON value, and the names of its members.
func (r *readable) addValue(where string, value any) {
	switch v := value.(type) {
	case string:
		if v != "" {
			r.add(where, v)
		}
	case []any:
		for _, item := range v {
			r.addValue(where, item)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			r.addValue(where+" "+name, v[name])
		}
	}
}

// addReadme adds the lines that this version does not write.
func (r *readable) addReadme(c *Capture, e entry) {
	if e.size > maxJSONBytes {
		r.add(readmeName, fmt.Sprintf("(%d bytes, which are not looked at)", e.size))
		return
	}
	data, err := c.readEntry(e, nil)
	if err != nil {
		c.damage(e.name, e.offset, err)
		return
	}
	ours := map[string]bool{}
	for line := range strings.Lines(readmeText()) {
		ours[line] = true
	}
	for line := range strings.Lines(string(data)) {
		if !ours[line] {
			r.add(readmeName, strings.TrimSpace(line))
		}
	}
}
