package reports

import (
	"strings"
	"testing"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"cart", "cart"}, {"服务-é", "服务-é"}, {"a\nb\tc\r", `a\nb\tc\r`}, {"\x1b[31m", `\x1b[31m`}, {"\x00\x7f", `\x00\x7f`},
		{"a\u202eb", `a\u202eb`}, {"\u2066\u200b\ufeff", `\u2066\u200b\ufeff`}, {"\u0085\u009b", `\u0085\u009b`},
		{"\xff\xfe", `\xff\xfe`}, {"\u2028", `\u2028`}, {"\U000e0041", `\U000e0041`}, {"", ""}, {"�", "�"},
	} {
		if got := visible(c.in); got != c.want {
			t.Errorf("visible(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"frontend", 0, "frontend"}, {"frontend", 8, "frontend"}, {"frontend", 7, "fronte…"}, {"frontend", 1, "…"},
		{"服务服务", 8, "服务服务"}, {"服务服务", 7, "服务服…"}, {"服务服务", 6, "服务…"}, {"e\u0301e\u0301", 2, "e\u0301e\u0301"},
	} {
		got := cut(c.in, c.width)
		if got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
		if c.width > 0 && columns(got) > c.width {
			t.Errorf("cut(%q, %d) takes %d columns", c.in, c.width, columns(got))
		}
	}
}

func FuzzVisible(f *testing.F) {
	for _, n := range hostileNames {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := visible(s)
		if visible(v) != v {
			t.Errorf("visible is not stable on %q: %q", s, v)
		}
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' }) {
			t.Errorf("visible(%q) = %q still holds a control", s, v)
		}
		code := markdownCode(v)
		if v != "" && (strings.Count(code, "`") != 2 || strings.ContainsAny(code, "|\n")) {
			t.Errorf("markdownCode(%q) = %q can be left", v, code)
		}
		if strings.ContainsAny(mermaidLabel(v), "\"`<>()[]{}|&%@\\\n") {
			t.Errorf("mermaidLabel(%q) = %q holds a sign", v, mermaidLabel(v))
		}
	})
}
