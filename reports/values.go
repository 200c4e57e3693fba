package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

// The formats of WriteValues.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// ErrNotRecorded says that no capture recorded what a table lists.
var ErrNotRecorded = errors.New("not recorded")

// valueKeys are the members that name an element of a list, for the rows of lists
// within it: their columns are called by the element's word, an underscore, and
// the member. The lists are those of the JSON report.
var valueKeys = map[string]struct {
	word    string
	members []string
}{
	"captures": {"capture", []string{"file"}}, "findings": {"finding", []string{"id"}}, "services": {"service", []string{"name"}},
	"edges": {"edge", []string{"client", "server", "server_port"}}, "disks": {"disk", []string{"capture", "name"}},
	"network": {"network", []string{"service"}}, "flames": {"flame", []string{"kind", "service"}}, "heatmaps": {"heatmap", []string{"kind", "subject"}},
}

// ValueTables names the tables that WriteValues knows, in the order of the JSON
// report: a list of it, or LIST.MEMBER for the lists within the elements of one, and
// LIST.MEMBER.MEMBER where an object stands between them.
func ValueTables() []string {
	var names []string
	for _, list := range membersOf(reflect.TypeFor[analyze.Analysis]()) {
		if !isList(list.Type) {
			continue
		}
		names = append(names, list.name)
		if _, ok := valueKeys[list.name]; !ok {
			continue
		}
		for _, within := range listsWithin(list.Type.Elem()) {
			names = append(names, list.name+"."+within)
		}
	}
	return names
}

// listsWithin gives the paths of the lists of an object, and of the objects in it.
func listsWithin(t reflect.Type) []string {
	var paths []string
	for _, m := range membersOf(t) {
		switch {
		case isList(m.Type):
			paths = append(paths, m.name)
		case flat(m) && inner(m.Type).Kind() == reflect.Struct:
			for _, path := range listsWithin(inner(m.Type)) {
				paths = append(paths, m.name+"."+path)
			}
		}
	}
	return paths
}

// ValuesFormatForPath gives the format of a table that belongs to the ending of
// path. The error lists the endings that are known.
func ValuesFormatForPath(path string) (Format, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return CSV, nil
	case ".ndjson", ".jsonl":
		return NDJSON, nil
	}
	return "", fmt.Errorf("table %s: the ending does not tell the format: use .csv, .ndjson or .jsonl", visible(path))
}

// WriteValues writes a table of ValueTables with its values as they are in the JSON
// report, for programs: as CSV, a column for each number and text, those of
// members joined by _, lists left out, and nothing in the cell of what was not
// measured; or as NDJSON, a line of JSON for each element. The error is that of w,
// names an unknown table, or is ErrNotRecorded.
func WriteValues(w io.Writer, a *analyze.Analysis, table string, f Format) error {
	if !slices.Contains(ValueTables(), table) {
		return fmt.Errorf("table %q is not known: %s", table, strings.Join(ValueTables(), ", "))
	}
	rows, err := valueRows(a, table)
	if err != nil {
		return err
	}
	if f == NDJSON {
		return rows.ndjson(w)
	}
	return rows.csv(w)
}

// member is a member of a JSON object.
type member struct {
	reflect.StructField
	name string
}

// membersOf gives the members of a struct as JSON has them.
func membersOf(t reflect.Type) []member {
	var list []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			list = append(list, membersOf(f.Type)...)
		case f.IsExported() && name != "" && name != "-":
			list = append(list, member{f, name})
		}
	}
	return list
}

func isList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// values are the rows of a table.
type values struct {
	element reflect.Type
	keys    []string // columns before those of the element
	rows    []valueRow
}

type valueRow struct {
	keys  []reflect.Value
	value reflect.Value
}

// valueRows collects the rows of a table.
func valueRows(a *analyze.Analysis, table string) (*values, error) {
	list, within, nested := strings.Cut(table, ".")
	outer := memberOf(reflect.ValueOf(a).Elem(), list)
	if outer.IsNil() {
		return nil, fmt.Errorf("%s: %w", table, ErrNotRecorded)
	}
	v := &values{element: outer.Type().Elem()}
	if !nested {
		for i := range outer.Len() {
			v.rows = append(v.rows, valueRow{value: outer.Index(i)})
		}
		return v, nil
	}
	by := valueKeys[list]
	for _, key := range by.members {
		v.keys = append(v.keys, by.word+"_"+key)
	}
	v.element = elementAt(v.element, within)
	for i := range outer.Len() {
		var keys []reflect.Value
		for _, key := range by.members {
			keys = append(keys, memberOf(outer.Index(i), key))
		}
		for _, element := range elementsAt(outer.Index(i), within) {
			v.rows = append(v.rows, valueRow{keys, element})
		}
	}
	return v, nil
}

// elementAt gives the type of the elements of a list by its path.
func elementAt(t reflect.Type, path string) reflect.Type {
	for name := range strings.SplitSeq(path, ".") {
		t = memberOf(reflect.Zero(inner(t)), name).Type()
	}
	return t.Elem()
}

// elementsAt gives the elements of a list by its path; none where an object on it is
// absent.
func elementsAt(v reflect.Value, path string) (list []reflect.Value) {
	for name := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return nil
			}
			v = v.Elem()
		}
		v = memberOf(v, name)
	}
	for i := range v.Len() {
		list = append(list, v.Index(i))
	}
	return list
}

// memberOf gives a member of a struct by its name in JSON.
func memberOf(v reflect.Value, name string) reflect.Value {
	for _, m := range membersOf(v.Type()) {
		if m.name == name {
			return v.FieldByName(m.Name)
		}
	}
	panic("reports: no member " + name) // a name of ours: TestValueTables
}

// ndjson writes a line for each row.
func (v *values) ndjson(w io.Writer) error {
	for _, row := range v.rows {
		var line bytes.Buffer
		line.WriteByte('{')
		for i, key := range v.keys {
			text, err := json.Marshal(row.keys[i].Interface())
			if err != nil {
				return err
			}
			fmt.Fprintf(&line, "%q:%s,", key, text)
		}
		text, err := json.Marshal(row.value.Interface())
		if err != nil {
			return fmt.Errorf("table as JSON: %w", err)
		}
		line.Write(text[1:])
		line.WriteByte('\n')
		if _, err := w.Write(line.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// csv writes a head, and a line for each row.
func (v *values) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(append(slices.Clone(v.keys), columnsOf("", v.element)...)); err != nil {
		return err
	}
	for _, row := range v.rows {
		var cells []string
		for _, key := range row.keys {
			cells = append(cells, cellOf(key))
		}
		if err := out.Write(appendCells(cells, row.value, v.element)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// inner gives the type of what a pointer leads to.
func inner(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// flat says whether a member has columns: no list of objects, no tree.
func flat(m member) bool {
	return !isList(m.Type) && m.Type != reflect.TypeFor[analyze.FlameNode]() && m.Type.Kind() != reflect.Map
}

// columnsOf names the columns of a struct.
func columnsOf(prefix string, t reflect.Type) []string {
	var columns []string
	for _, m := range membersOf(t) {
		switch {
		case !flat(m):
		case inner(m.Type).Kind() == reflect.Struct:
			columns = append(columns, columnsOf(prefix+m.name+"_", inner(m.Type))...)
		default:
			columns = append(columns, prefix+m.name)
		}
	}
	return columns
}

// appendCells appends the cells of columnsOf; v is not valid where there is no such
// object.
func appendCells(cells []string, v reflect.Value, t reflect.Type) []string {
	unmeasured := v.IsValid() && nothingMeasured(v)
	for _, m := range membersOf(t) {
		var field reflect.Value
		if v.IsValid() {
			field = v.FieldByName(m.Name)
			if field.Kind() == reflect.Pointer {
				field = field.Elem() // not valid for nil
			}
		}
		switch {
		case !flat(m):
		case inner(m.Type).Kind() == reflect.Struct:
			cells = appendCells(cells, field, inner(m.Type))
		case !field.IsValid() || unmeasured && slices.Contains(quantileMembers, m.name):
			cells = append(cells, "")
		default:
			cells = append(cells, cellOf(field))
		}
	}
	return cells
}

// quantileMembers are 0 where nothing was measured.
var quantileMembers = []string{"mean", "p50", "p90", "p95", "p99", "max"}

// nothingMeasured says that quantiles of v stand for nothing.
func nothingMeasured(v reflect.Value) bool {
	for _, m := range membersOf(v.Type()) {
		if m.name == "latency_count" || m.name == "count" && v.Type() == reflect.TypeFor[analyze.Distribution]() {
			return v.FieldByName(m.Name).Int() == 0
		}
	}
	return false
}

// cellOf is a value as text. Texts of a list are joined by semicolons.
func cellOf(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Slice:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = cellOf(v.Index(i))
		}
		return strings.Join(texts, ";")
	}
	return visible(v.String())
}
