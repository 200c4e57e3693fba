package reports

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

//go:embed assets/*.js assets/vendor
var scriptFiles embed.FS

// asset is a script of the page: its file, and the licences of what it holds.
type asset struct {
	file     string
	licences []string
}

// The scripts, in the order in which they must run. Each of ours has one job;
// page.js starts them.
var (
	flameAssets = []asset{
		{"vendor/d3-selection.min.js", []string{"vendor/d3-selection.LICENSE"}},
		{"vendor/d3-flamegraph.min.js", []string{"vendor/d3-flamegraph.LICENSE", "vendor/d3-ease.LICENSE"}},
	}
	chartAssets = []asset{{"vendor/uPlot.iife.min.js", []string{"vendor/uPlot.LICENSE"}}}
	ownAssets   = []asset{
		{file: "view.js"}, {file: "number.js"}, {file: "data.js"}, {file: "work.js"}, {file: "window.js"}, {file: "timeline.js"}, {file: "copy.js"}, {file: "profile.js"}, {file: "heat.js"},
		{file: "flame.js"}, {file: "top.js"}, {file: "charts.js"}, {file: "parts.js"}, {file: "drill.js"}, {file: "within.js"}, {file: "topology.js"}, {file: "page.js"},
	}
)

// scripts gives the scripts a page needs: none when it has nothing to act on.
// A page of stacks has charts, too; every one with a time can be narrowed to a part.
func scripts(flames, charts, times bool) ([]template.JS, error) {
	wanted := []asset{}
	if flames {
		wanted = append(wanted, flameAssets...)
	}
	if flames || charts {
		wanted = append(wanted, chartAssets...)
	}
	if flames || charts || times {
		wanted = append(wanted, ownAssets...)
	}
	list := make([]template.JS, len(wanted))
	for i, a := range wanted {
		text, err := a.text()
		if err != nil {
			return nil, err
		}
		list[i] = template.JS(text)
	}
	return list, nil
}

// text is the script after its licences.
func (a asset) text() (string, error) {
	var b strings.Builder
	for _, name := range append(a.licences[:len(a.licences):len(a.licences)], a.file) {
		content, err := scriptFiles.ReadFile("assets/" + name)
		if err != nil {
			return "", fmt.Errorf("html report: %w", err)
		}
		if name != a.file {
			content = []byte("/*\n" + string(content) + "*/\n")
		}
		b.Write(content)
	}
	return b.String(), nil
}

// contentPolicy forbids everything but the page's own style and scripts: no
// request leaves the page, and a name that became an element would do nothing.
func contentPolicy(style template.CSS, scripts []template.JS) string {
	policy := "default-src 'none'; style-src '" + digest(string(style)) + "'"
	if len(scripts) > 0 {
		policy += "; script-src"
		for _, s := range scripts {
			policy += " '" + digest(string(s)) + "'"
		}
	}
	return policy + "; img-src data:; base-uri 'none'; form-action 'none'"
}

// digest names a text as a policy does.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
