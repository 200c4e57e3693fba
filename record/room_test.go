package record

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"kmon/bpf"
)

// The README's table of bounds says of each table what the sources say.
func TestTableOfBounds(t *testing.T) {
	told := tableOfBounds(t)
	spec, err := bpf.LoadKmon()
	if err != nil {
		t.Fatal(err)
	}
	var sockets uint64
	if err := spec.Variables[bpf.KmonVarSocketsMax].Get(&sockets); err != nil {
		t.Fatal(err)
	}
	for name, m := range spec.Maps {
		room, ok := told[name]
		entries := int64(m.MaxEntries)
		switch {
		case name == bpf.KmonMapSockets:
			entries = int64(sockets)
		case name == bpf.KmonMapDataRing:
			entries = DefaultDataRingBytes
		case name == bpf.KmonMapControlRing:
			entries = controlRingBytes
		case m.Type == ebpf.Array || m.Type == ebpf.PerCPUArray:
			continue // as large as it ever is
		}
		if !ok || room != entries {
			t.Errorf("map %s has room for %d, README.md says %d", name, entries, room)
		}
		delete(told, name)
	}
	for name, room := range told {
		folder, of, _ := strings.Cut(name, ".")
		if value := constantOf(t, folder, of); value != room {
			t.Errorf("%s is %d, README.md says %d", name, value, room)
		}
	}
}

// boundRow is a row of the table: names, and their room.
var boundRow = regexp.MustCompile("(?m)^\\| (`[a-zA-Z_.`, ]+`) \\| ([0-9,]*)( MiB)?")

// tableOfBounds reads how much room the README says there is, by name; 0: it
// gives no number.
func tableOfBounds(t *testing.T) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| table | room |")
	table, _, _ = strings.Cut(table, "\n\n")
	told := map[string]int64{}
	for _, row := range boundRow.FindAllStringSubmatch(table, -1) {
		room, _ := strconv.ParseInt(strings.ReplaceAll(row[2], ",", ""), 10, 64)
		if row[3] != "" {
			room <<= 20
		}
		for name := range strings.SplitSeq(strings.ReplaceAll(row[1], "`", ""), ", ") {
			told[name] = room
		}
	}
	if !found || len(told) < strings.Count(table, "\n| `") {
		t.Fatalf("%d rows of %d were understood", len(told), strings.Count(table, "\n| `"))
	}
	return told
}

// constantOf is the value of a constant of this package, or of one below it.
func constantOf(t *testing.T, folder, name string) int64 {
	t.Helper()
	if folder == "record" {
		folder = "."
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	value := int64(-1)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || spec.Names[0].Name != name {
				return true
			}
			if result, err := types.Eval(token.NewFileSet(), nil, token.NoPos, types.ExprString(spec.Values[0])); err == nil {
				value, _ = constant.Int64Val(result.Value)
			}
			return true
		})
	}
	return value
}
