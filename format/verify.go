package format

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Report is what Verify and Repair found.
type Report struct {
	File     string
	Size     int64
	Entries  int
	Rows     map[string]int64 // read, per table
	Problems []Problem
}

// Damaged says whether rows or facts of the recording are missing or wrong:
// the difference between exit code 0 and 1. Notes alone are not damage.
func (r Report) Damaged() bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Damage })
}

// Verify checks everything a reader of the capture relies on: every entry's
// CRC, manifest, schema and content of every segment, the row counts of
// final.json, and the rules of CheckValid. The error is that of Open; what is
// wrong inside stands in the report. It gives up with ctx.
func Verify(ctx context.Context, path string) (Report, error) {
	c, err := Open(path)
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	return c.verify(ctx)
}

func (c *Capture) verify(ctx context.Context) (Report, error) {
	r := Report{File: c.Path, Size: c.Size, Entries: len(c.entries), Rows: map[string]int64{}}
	for _, e := range c.entries {
		if segmentName.MatchString(e.name) || e.size > maxEntryBytes {
			continue
		}
		if _, err := c.readEntry(e, nil); err != nil {
			c.damage(e.name, e.offset, err)
		}
	}
	for _, name := range c.Tables() {
		r.Rows[name] = 0
		err := c.eachSegment(name, func(_ []columnValues, rows int) error {
			r.Rows[name] += int64(rows)
			return ctx.Err()
		})
		if err != nil {
			return r, err
		}
		if tableNamed(name) == nil {
			c.problem(Problem{Offset: -1, What: fmt.Sprintf("table %s is not known to this kmon, a newer one wrote it", name)})
		}
	}
	c.compareFinal(r.Rows)
	if err := c.CheckValid(); err != nil {
		return r, err
	}
	r.Problems = c.Problems()
	return r, nil
}

// compareFinal holds the counts of final.json against the rows read.
func (c *Capture) compareFinal(rows map[string]int64) {
	if c.Final == nil {
		return
	}
	names := maps.Clone(rows)
	maps.Copy(names, c.Final.Rows)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got, want := rows[name], c.Final.Rows[name]; got != want {
			c.problem(Problem{Entry: finalName, Offset: -1, Damage: true, Mend: c.mend(),
				What: fmt.Sprintf("table %s has %d rows that can be read, final.json counts %d", name, got, want)})
		}
	}
}
