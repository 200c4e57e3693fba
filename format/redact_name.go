package format

import "strings"

// RedactedName gives the name of a file with the host's pseudonym wherever the name
// of the capture's host stands in it as a word, as in those that a recorder makes
// up. What else the name tells stays. The key is that of the options, which have one.
func RedactedName(name string, c *Capture, o RedactOptions) (string, error) {
	m, err := newMask(o)
	if err != nil {
		return "", err
	}
	host := c.Manifest.Host.Name
	stand := m.text(textHost, host)
	if stand == host {
		return name, nil
	}
	short, _, _ := strings.Cut(host, ".")
	for _, called := range []string{strings.ReplaceAll(host, "/", "-"), short} {
		name = replaceWord(name, called, stand)
	}
	return name, nil
}

// replaceWord replaces a word that no letter or digit touches.
func replaceWord(text, word, by string) string {
	if word == "" {
		return text
	}
	var b strings.Builder
	last := byte('-')
	for text != "" {
		rest, found := strings.CutPrefix(text, word)
		if found && !alphanumeric(last) && (rest == "" || !alphanumeric(rest[0])) {
			b.WriteString(by)
			last, text = 'x', rest
			continue
		}
		last = text[0]
		b.WriteByte(last)
		text = text[1:]
	}
	return b.String()
}

// alphanumeric says whether a byte is a part of a word. Those of other scripts'
// letters are.
func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
