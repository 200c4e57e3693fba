package secret

import "strings"

// word is a word of a shell's command line.
type word struct {
	begin, end int    // in the text
	text       string // without quotes and backslashes
	quote      byte   // that all of it stands in; 0: none
}

// maxWords bounds the words of one text; what follows stays together as one.
const maxWords = 4096

// cutWords cuts secrets in a text that a shell may read: each simple command in
// it like the arguments of a process.
func cutWords(text string, depth int) string {
	words := lex(text)
	if len(words) == 1 && words[0].text == text { // nothing to take apart
		return cutAssignments(text)
	}
	var out strings.Builder
	copied := 0
	for len(words) > 0 {
		n := commandLength(words)
		args := make([]string, n)
		for i, w := range words[:n] {
			args[i] = w.text
		}
		cut := cutArgs(args, depth)
		identified := false
		for i, w := range words[:n] {
			replaced := cut[i]
			if i > 0 && w.quote != 0 && sqlSecret(args[i-1], identified) && !harmless("password", args[i]) {
				replaced = Mark
			}
			identified = identified || strings.EqualFold(args[i], "identified")
			if replaced == args[i] {
				continue
			}
			out.WriteString(text[copied:w.begin])
			if w.quote != 0 {
				replaced = string(w.quote) + replaced + string(w.quote)
			}
			out.WriteString(replaced)
			copied = w.end
		}
		words = words[n:]
	}
	out.WriteString(text[copied:])
	return out.String()
}

// sqlSecret says whether a quoted text after a word is a secret in SQL:
// PASSWORD 'X', IDENTIFIED BY 'X'.
func sqlSecret(before string, identified bool) bool {
	return strings.EqualFold(before, "password") || identified && strings.EqualFold(before, "by")
}

// commandLength is how many of the words are the first simple command.
func commandLength(words []word) int {
	for i, w := range words {
		if w.quote == 0 && w.text != "" && strings.Contains(";|&", w.text[len(w.text)-1:]) {
			return i + 1
		}
	}
	return len(words)
}

// lex splits a text into words at spaces outside of quotes. A quote that does
// not end is a character like others.
func lex(text string) []word {
	var words []word
	for at := 0; at < len(text); {
		if strings.IndexByte(spaces, text[at]) >= 0 {
			at++
			continue
		}
		w := lexWord(text, at)
		if len(words) == maxWords-1 {
			w = word{begin: at, end: len(text), text: text[at:]}
		}
		words = append(words, w)
		at = w.end
	}
	return words
}

func lexWord(text string, begin int) word {
	var b strings.Builder
	at := begin
	for at < len(text) && strings.IndexByte(spaces, text[at]) < 0 {
		c := text[at]
		switch {
		case c == '\\' && at+1 < len(text):
			b.WriteByte(text[at+1])
			at += 2
		case c == '"' || c == '\'':
			end := closing(text, at)
			if end < 0 {
				b.WriteByte(c)
				at++
				continue
			}
			if at == begin && (end+1 == len(text) || strings.IndexByte(spaces, text[end+1]) >= 0) {
				return word{begin, end + 1, unescaped(text[at+1:end], c), c}
			}
			b.WriteString(unescaped(text[at+1:end], c))
			at = end + 1
		default:
			b.WriteByte(c)
			at++
		}
	}
	return word{begin: begin, end: at, text: b.String()}
}

// closing finds the quote that ends the one at an offset; -1: there is none.
func closing(text string, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch {
		case text[i] == text[at]:
			return i
		case text[i] == '\\' && text[at] == '"':
			i++
		}
	}
	return -1
}

// unescaped takes the backslashes out that a double quote needs within double
// quotes.
func unescaped(text string, quote byte) string {
	if quote == '"' && strings.Contains(text, `\`) {
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`").Replace(text)
	}
	return text
}
