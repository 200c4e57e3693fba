package reports

import (
	"strings"
	"unicode"
)

// markdownCode puts s in a code span, where nothing of it is live. The two
// characters that could end the span or the cell of a table become \x60 and
// \x7c.
func markdownCode(s string) string {
	if s == "" {
		return absent
	}
	s = strings.ReplaceAll(s, "`", `\x60`)
	return "`" + strings.ReplaceAll(s, "|", `\x7c`) + "`"
}

// markdownText gives prose in which names may stand: words that Markdown,
// HTML or a tracker could read as more than words (emphasis, links, tags,
// mentions, issue numbers) go into code spans, neighbours into one.
func markdownText(s string) string {
	var out, code []string
	flush := func() {
		if len(code) > 0 {
			out = append(out, markdownCode(strings.Join(code, " ")))
			code = nil
		}
	}
	for _, w := range strings.Fields(s) {
		if safeWord(w) {
			flush()
			out = append(out, w)
			continue
		}
		code = append(code, w)
	}
	flush()
	return strings.Join(out, " ")
}

// safeWord says that w is nothing but a word in Markdown: letters, digits and
// the marks of a sentence.
func safeWord(w string) bool {
	if strings.HasPrefix(strings.ToLower(strings.TrimLeft(w, "(")), "www.") || strings.Contains(w, "//") {
		return false
	}
	previous, before := ' ', ' '
	for i, r := range w {
		switch {
		case unicode.IsLetter(r):
		case unicode.IsDigit(r):
			if previous == '-' && !unicode.IsDigit(before) {
				return false // GH-12, JIRA-12
			}
		case strings.ContainsRune(".,;:()%'’“”–—→…·µ/−", r):
		case r == '-' && i > 0:
		default:
			return false
		}
		before, previous = previous, r
	}
	return true
}
