package format

import (
	"fmt"
	"strings"
)

const readmeIntro = `This is a kmon capture: the recording of one host. The file is a ZIP archive of
stored (not compressed) entries:

  manifest.json               host, kernel, clocks, collectors, options
  README.txt                  this text
  events/TABLE/000001.parquet what happened, in segments, in time order
  snapshots/TABLE/…           state as it was listed at a time
  final.json                  counts, losses, cost; missing when the recording
                              did not end in order

Every Parquet file can be queried by itself, for example with DuckDB:
  SELECT * FROM 'events/exchanges/*.parquet'

Columns are INT64, INT32 or text, never null. "ns, monotonic" is the kernel's
CLOCK_MONOTONIC; the manifest's clock and the pairs in table self turn it into
Unix time. What 0 and the empty text mean stands with each column.
`

// readmeText is README.txt of every capture.
func readmeText() string {
	var b strings.Builder
	b.WriteString(readmeIntro)
	for _, s := range specs {
		t := tableNamed(s.table)
		fmt.Fprintf(&b, "\n%s/%s\n  %s\n\n", t.dir, t.name, s.text)
		for i, c := range s.columns {
			fmt.Fprintf(&b, "  %-17s %s; %s", c.column, c.unit, c.text)
			fmt.Fprintf(&b, "; %s: %s\n", t.columns[i].zeroWord(), c.zero)
			if w := t.columns[i].words; w != nil {
				fmt.Fprintf(&b, "  %17s %s\n", "", w.list())
			}
		}
	}
	return b.String()
}

// zeroWord is the column's zero value as people write it.
func (c column) zeroWord() string {
	if c.kind == kindText {
		return `""`
	}
	return "0"
}

// list gives all words with their numbers.
func (w *words) list() string {
	var all []string
	for _, n := range w.names {
		all = append(all, fmt.Sprintf("%d %s", n.number, n.name))
	}
	return strings.Join(all, ", ")
}

// typeWord is the column's Parquet type.
func (c column) typeWord() string {
	switch c.kind {
	case kindText:
		return "BYTE_ARRAY (UTF8)"
	case kindInt32:
		return "INT32"
	default:
		return "INT64"
	}
}

// markdownTables is the part of FORMAT.md that describes the tables.
func markdownTables() string {
	var b strings.Builder
	for _, s := range specs {
		t := tableNamed(s.table)
		fmt.Fprintf(&b, "\n### %s/%s\n\n%s\n\n", t.dir, t.name, s.text)
		b.WriteString("| column | type | encoding | unit | zero means | meaning |\n|---|---|---|---|---|---|\n")
		for i, c := range s.columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", c.column, t.columns[i].typeWord(),
				t.columns[i].encoding, c.unit, c.zero, c.text)
		}
		for _, c := range t.columns {
			if c.words != nil {
				fmt.Fprintf(&b, "\n`%s`: %s.\n", c.name, c.words.list())
			}
		}
	}
	return b.String()
}
