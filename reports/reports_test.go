package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"kmon/analyze"
)

func TestFormatForPath(t *testing.T) {
	for _, c := range []struct {
		path string
		want Format
	}{
		{"a.html", HTML}, {"/x/y.HTM", HTML}, {"b.md", Markdown}, {"c.json", JSON}, {"d.txt", Text},
	} {
		got, err := FormatForPath(c.path)
		if err != nil || got != c.want {
			t.Errorf("FormatForPath(%q) = %q, %v, want %q", c.path, got, err, c.want)
		}
	}
	for _, path := range []string{"", "report", "report.pdf", "html", "x.md.gz"} {
		_, err := FormatForPath(path)
		if err == nil {
			t.Errorf("FormatForPath(%q) gives no error", path)
			continue
		}
		for _, ending := range []string{".html", ".htm", ".md", ".json", ".txt"} {
			if !strings.Contains(err.Error(), ending) {
				t.Errorf("the error for %q does not name %s: %v", path, ending, err)
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, shop(), "pdf", Options{}); err == nil || b.Len() > 0 {
		t.Errorf("format pdf: error %v after %d bytes, want an error and nothing written", err, b.Len())
	}
}

// TestSameBytes: the same analysis gives the same bytes, and is not changed.
func TestSameBytes(t *testing.T) {
	for _, c := range cases {
		a, untouched := c.a(), c.a()
		for _, e := range endings {
			first := render(t, a, e.format, options)
			for range 3 {
				if !bytes.Equal(first, render(t, a, e.format, options)) {
					t.Errorf("%s as %s differs between two writes", c.name, e.format)
				}
			}
		}
		if !reflect.DeepEqual(a, untouched) {
			t.Errorf("%s was changed by writing it", c.name)
		}
	}
}

// TestWriteLeavesNil: what Write makes empty for itself stays nil outside.
func TestWriteLeavesNil(t *testing.T) {
	a := bare()
	for _, e := range endings {
		render(t, a, e.format, options)
	}
	if !reflect.DeepEqual(a, bare()) {
		t.Errorf("the analysis was changed to %+v", a)
	}
}

// failing refuses to write after so many bytes.
type failing struct{ left int }

var errFull = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	for _, e := range endings {
		if err := Write(&failing{100}, shop(), e.format, options); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v, want the writer's error", e.format, err)
		}
	}
}

// bare gives every struct one element in each of its slices, and nil slices
// at the end of the way: the worst that a careless analysis could hand over.
func bare() *analyze.Analysis {
	return &analyze.Analysis{
		Captures: []analyze.Capture{{}}, Services: []analyze.Service{{Instances: []analyze.Instance{{}}}}, Edges: []analyze.Edge{{}},
		Disks: []analyze.Disk{{}}, Drops: []analyze.Drop{{}}, Network: []analyze.NetworkCount{{}},
	}
}

func TestJSONHasNoNull(t *testing.T) {
	for _, c := range append(cases, struct {
		name string
		a    func() *analyze.Analysis
		gold bool
	}{"bare", bare, false}) {
		got := render(t, c.a(), JSON, options)
		if !bytes.HasSuffix(got, []byte("\n}\n")) {
			t.Errorf("%s: JSON does not end with a line end", c.name)
		}
		var v any
		if err := json.Unmarshal(got, &v); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if path := nullIn(v, "$"); path != "" {
			t.Errorf("%s: %s is null", c.name, path)
		}
	}
}

// nullIn is the path of the first null in v.
func nullIn(v any, path string) string {
	switch v := v.(type) {
	case nil:
		return path
	case map[string]any:
		for k, x := range v {
			if p := nullIn(x, path+"."+k); p != "" {
				return p
			}
		}
	case []any:
		for _, x := range v {
			if p := nullIn(x, path+"[]"); p != "" {
				return p
			}
		}
	}
	return ""
}

// TestJSONKeepsAll: what is read back is what was written.
func TestJSONKeepsAll(t *testing.T) {
	want := shop()
	var got analyze.Analysis
	if err := json.Unmarshal(render(t, want, JSON, options), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("read back:\n%+v\nwant:\n%+v", got, want)
	}
	if got.Schema != "kmon.analysis/v1" {
		t.Errorf("schema %q", got.Schema)
	}
}

func TestJSONRefusesNaN(t *testing.T) {
	a := shop()
	a.Services[0].RatePerS = math.NaN()
	if err := Write(&bytes.Buffer{}, a, JSON, options); err == nil {
		t.Error("NaN gives no error")
	}
	for _, f := range []Format{Text, Markdown, HTML} {
		render(t, a, f, options) // must not panic; NaN shows as absent
	}
}
