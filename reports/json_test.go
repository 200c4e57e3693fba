package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What indent writes is what it was given, and down to jsonLevels it is
// indented as encoding/json does.
func TestIndent(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `"a\"b{[,:\\"`, `1`, `{"a":[],"b":{},"c":[{}],"d":"\\\",{}[]:"}`,
		`{"a":{"b":{"c":[1,2,"x:y"]}}}`,
	} {
		var got, want bytes.Buffer
		w := bufio.NewWriter(&got)
		indent(w, []byte(text))
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := json.Indent(&want, []byte(text), "", "  "); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String()+"\n" {
			t.Errorf("got\n%s\nwant\n%s", got.String(), want.String())
		}
	}
}

// Deep values take one line, and nothing is lost.
func TestIndentIsShallow(t *testing.T) {
	deep := `{"flames":[{"root":{"name":"all","children":[{"name":"a","children":[{"name":"b"}]}]}}]}`
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	indent(w, []byte(deep))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `        "children": [{"name":"a","children":[{"name":"b"}]}]`) {
		t.Errorf("got %s", out.String())
	}
	var back bytes.Buffer
	if err := json.Compact(&back, out.Bytes()); err != nil || back.String() != deep {
		t.Errorf("got %s, %v", back.String(), err)
	}
}
