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
// mentions, issue numbers) go into code spans, neighbours into one. What the
// prose has between backticks, a command, is one code span.
func markdownText(s string) string {
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 { // one has no partner
		return markdownWords(s)
	}
	var out strings.Builder
	ended := byte(' ')
	for i, part := range parts {
		text := markdownWords(part)
		if i%2 == 1 && text != "" {
			text = markdownCode(part)
		}
		if text == "" {
			continue
		}
		set := i > 0 && strings.HasSuffix(parts[i-1], " ") || strings.HasPrefix(part, " ") || ended == '`' && text[0] == '`'
		if out.Len() > 0 && set {
			out.WriteByte(' ')
		}
		out.WriteString(text)
		ended = text[len(text)-1]
	}
	return out.String()
}

// markdownWords is markdownText for prose without commands.
func markdownWords(s string) string {
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
		name := strings.TrimRight(w, ",;:") // the sentence's, not the name's
		if name == "" || name == w {
			code = append(code, w)
			continue
		}
		code = append(code, name)
		flush()
		out[len(out)-1] += w[len(name):]
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
		case strings.ContainsRune(".,;:?()%'’“”–—→…·µ/−", r):
		case r == '-' && i > 0:
		default:
			return false
		}
		before, previous = previous, r
	}
	return true
}
