package reports

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"testing"

	"kmon/analyze"
)

// script finds the scripts of a page: own text, or data with a type and an id.
var script = regexp.MustCompile(`(?s)<script((?: [a-z]+="[^"]*")*)>(.*?)</script>`)

// reviewable is a page without what a reader of goldens has no use for: a script
// or style that is of the files of assets, as it must be, gives way to its
// name, data to its digest before it was compressed, and the policy, which
// TestHTMLPolicy holds, to nothing.
func reviewable(t *testing.T, page []byte) []byte {
	t.Helper()
	known := map[string]string{}
	for _, a := range append(append(append([]asset{}, flameAssets...), chartAssets...), ownAssets...) {
		text, err := a.text()
		if err != nil {
			t.Fatal(err)
		}
		known[text] = a.file
	}
	page = regexp.MustCompile(`(http-equiv="Content-Security-Policy" content=")[^"]*`).ReplaceAll(page, []byte("$1"))
	own, err := files.ReadFile("assets/report.css")
	if err != nil {
		t.Fatal(err)
	}
	chart, err := scriptFiles.ReadFile("assets/vendor/uPlot.min.css")
	if err != nil {
		t.Fatal(err)
	}
	if style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindSubmatch(page); style != nil {
		if got := string(style[1]); got != string(own) && got != string(chart)+"\n"+string(own) {
			t.Errorf("a style that is no asset: %.80q", got)
		}
		page = bytes.Replace(page, style[1], []byte("report.css"), 1)
	}
	return script.ReplaceAllFunc(page, func(found []byte) []byte {
		m := script.FindSubmatch(found)
		if len(m[1]) > 0 {
			return []byte("<script" + string(m[1]) + ">" + digest(string(inflate(t, string(m[2])))) + "</script>")
		}
		name, ours := known[string(m[2])]
		if !ours {
			t.Errorf("a script that is no asset: %.80q", m[2])
		}
		return []byte("<script>" + name + "</script>")
	})
}

// inflate reads a data block.
func inflate(t *testing.T, text string) []byte {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestVendorSums: the files of others are those the README names, unchanged,
// and none is there that it does not name.
func TestVendorSums(t *testing.T) {
	readme, err := scriptFiles.ReadFile("assets/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := scriptFiles.ReadDir("assets/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "README.md" {
			continue
		}
		content, err := scriptFiles.ReadFile("assets/vendor/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if line := hex.EncodeToString(sum[:]) + "  " + e.Name() + "\n"; !strings.Contains(string(readme), line) {
			t.Errorf("the README does not name %s", line)
		}
	}
}

// TestScriptsCanStandInAPage: nothing in a script or licence ends the script,
// or the comment that holds the licence.
func TestScriptsCanStandInAPage(t *testing.T) {
	all, err := scripts(true, true, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(flameAssets)+len(chartAssets)+len(ownAssets) {
		t.Errorf("%d scripts", len(all))
	}
	for i, s := range all {
		if low := strings.ToLower(string(s)); strings.Contains(low, "</script") || strings.Contains(low, "<!--") {
			t.Errorf("script %d ends itself", i)
		}
	}
	for _, a := range append(append([]asset{}, flameAssets...), chartAssets...) {
		if len(a.licences) == 0 {
			t.Errorf("%s comes without its licence", a.file)
		}
		for _, l := range a.licences {
			if text, err := scriptFiles.ReadFile("assets/" + l); err != nil || bytes.Contains(text, []byte("*/")) {
				t.Errorf("%s cannot be a comment: %v", l, err)
			}
		}
	}
}

// TestScriptsOnlyWhereNeeded: a page embeds what acts on it, and no more.
func TestScriptsOnlyWhereNeeded(t *testing.T) {
	for _, c := range []struct {
		name          string
		page          []byte
		flames, plots bool
		any           bool // a range can be picked, numbers copied
	}{
		{"nothing", render(t, &analyze.Analysis{}, HTML, options), false, false, false},
		{"empty", render(t, empty(), HTML, options), false, false, true},
		{"shop", render(t, shop(), HTML, options), false, true, true},
		{"busy", render(t, busyShop(), HTML, options), true, true, true},
	} {
		if got := bytes.Contains(c.page, []byte("flamegraph=")); got != c.flames {
			t.Errorf("%s: d3-flame-graph embedded: %v", c.name, got)
		}
		if got := bytes.Contains(c.page, []byte("var uPlot=")); got != c.plots {
			t.Errorf("%s: uPlot embedded: %v", c.name, got)
		}
		if got := bytes.Contains(c.page, []byte("<script")); got != c.any {
			t.Errorf("%s: scripts: %v", c.name, got)
		}
	}
}
