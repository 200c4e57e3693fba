package secret

import (
	"encoding/base64"
	"strings"
)

const (
	spaces = " \t\r\n"
	quotes = "\"'"
)

// cutText cuts secrets within one argument.
func cutText(text string, depth int) string {
	if len(text) < 4 {
		return text
	}
	if cut, ok := cutHeader(text); ok {
		return cut
	}
	if strings.ContainsAny(text, quotes) {
		text = cutKeys(text)
	}
	switch {
	case depth < maxDepth && strings.ContainsAny(text, spaces):
		text = cutWords(text, depth+1)
	case strings.Contains(text, "="):
		text = cutAssignments(text)
	}
	return cutForms(text)
}

// cutHeader cuts a header of HTTP, or openssl's pass:X.
func cutHeader(text string) (cut string, ok bool) {
	name, value, ok := strings.Cut(text, ":")
	if !ok || !whole(name) || !named(name) {
		return "", false
	}
	rest := strings.TrimLeft(value, spaces)
	if len(rest) == len(value) && name != "pass" || harmless(name, rest) {
		return "", false
	}
	kept := text[:len(text)-len(rest)]
	if scheme, credentials, ok := strings.Cut(rest, " "); ok && schemes(scheme) && credentials != "" {
		kept += scheme + " "
	}
	return kept + Mark, true
}

// schemes are the words of HTTP before credentials.
func schemes(word string) bool {
	switch strings.ToLower(word) {
	case "bearer", "basic", "digest", "token", "negotiate":
		return true
	}
	return false
}

// cutKeys cuts the values of quoted keys, as of JSON: "password": "X".
func cutKeys(text string) string {
	for at := 0; at < len(text); at++ {
		if !strings.Contains(quotes, text[at:at+1]) {
			continue
		}
		end := at + 1
		for end < len(text) && nameByte(text[end]) {
			end++
		}
		if end == at+1 || end == len(text) || text[end] != text[at] || !named(text[at+1:end]) {
			continue
		}
		rest := strings.TrimLeft(text[end+1:], spaces)
		if rest == "" || rest[0] != ':' {
			continue
		}
		rest = strings.TrimLeft(rest[1:], spaces)
		text = cutValue(text, len(text)-len(rest), text[at+1:end], ",}]"+spaces)
		at = end
	}
	return text
}

// cutAssignments cuts the values in name=value within a text.
func cutAssignments(text string) string {
	for at := 0; at < len(text); at++ {
		if text[at] != '=' {
			continue
		}
		begin := at
		for begin > 0 && nameByte(text[begin-1]) {
			begin--
		}
		if begin == at || !named(text[begin:at]) {
			continue
		}
		ends := "" // the value is the rest
		if begin > 0 {
			switch text[begin-1] {
			case '?', '&', '#':
				ends = "&#" + quotes
			case ',':
				ends = ","
			case ';':
				ends = ";"
			}
		}
		text = cutValue(text, at+1, text[begin:at], ends)
	}
	return text
}

// cutValue cuts the value that begins at an offset: what is in quotes, or what
// reaches to one of the ends.
func cutValue(text string, at int, name, ends string) string {
	end := len(text)
	if at < end && strings.Contains(quotes, text[at:at+1]) {
		quote := text[at]
		at++
		for i := at; i < end; i++ {
			if text[i] == '\\' {
				i++
			} else if text[i] == quote {
				end = i
			}
		}
	} else if i := strings.IndexAny(text[at:], ends); i >= 0 {
		end = at + i
	}
	if harmless(name, text[at:end]) {
		return text
	}
	return text[:at] + Mark + text[end:]
}

// cutForms cuts what is a secret by its form, and passwords in URLs.
func cutForms(text string) string {
	if strings.Contains(text, "://") {
		text = cutURLs(text)
	}
	for _, driver := range []string{"@tcp(", "@unix("} { // data source names of Go's MySQL driver
		if at := strings.Index(text, driver); at > 0 {
			begin := strings.LastIndexAny(text[:at], spaces+quotes+"=") + 1
			text = text[:begin] + after(text[begin:at], ":") + text[at:]
		}
	}
	if strings.Contains(text, " ") {
		text = cutSchemes(text)
	}
	if at := strings.Index(text, "PRIVATE KEY-----"); at >= 0 {
		at += len("PRIVATE KEY-----")
		if len(text) > at {
			text = text[:at] + Mark
		}
	}
	for _, f := range forms {
		text = f.cut(text)
	}
	return text
}

// cutURLs cuts passwords in scheme://user:password@host. At the end of a text,
// which may have been cut, a password need not have its @.
func cutURLs(text string) string {
	for from := 0; ; {
		i := strings.Index(text[from:], "://")
		if i < 0 {
			return text
		}
		from += i + len("://")
		end := len(text)
		if i := strings.IndexAny(text[from:], "/?#"+quotes+spaces); i >= 0 {
			end = from + i
		}
		userinfo := text[from:end]
		if at := strings.LastIndexByte(userinfo, '@'); at >= 0 {
			end = from + at
			userinfo = userinfo[:at]
		} else if end < len(text) || !passwordWithoutHost(userinfo) {
			continue
		}
		text = text[:from] + after(userinfo, ":") + text[end:]
	}
}

// passwordWithoutHost tells user:passw from host:port.
func passwordWithoutHost(authority string) bool {
	authority, _, _ = strings.Cut(authority, ",")
	host, port, ok := strings.Cut(authority, ":")
	return ok && port != "" && !strings.HasPrefix(host, "[") && !strings.ContainsAny(port[:1], "$%{<*") && strings.Trim(port, "0123456789") != ""
}

// cutSchemes cuts what follows Bearer and Basic anywhere.
func cutSchemes(text string) string {
	for at := 0; at < len(text); at++ {
		if text[at] != ' ' || at == 0 {
			continue
		}
		begin := at
		for begin > 0 && letter(text[begin-1]) {
			begin--
		}
		rest := text[at+1:]
		if i := strings.IndexAny(rest, spaces+quotes); i >= 0 {
			rest = rest[:i]
		}
		switch scheme := text[begin:at]; {
		case len(rest) < 8 || rest == Mark:
		case strings.EqualFold(scheme, "bearer"), strings.EqualFold(scheme, "basic") && userInBase64(rest):
			text = text[:at+1] + Mark + text[at+1+len(rest):]
		}
	}
	return text
}

func userInBase64(text string) bool {
	text = strings.TrimRight(text, "=")
	plain, err := base64.RawStdEncoding.DecodeString(text[:len(text)&^3])
	return err == nil && strings.Contains(string(plain), ":")
}

// form is how the secrets of one kind begin, and how long they are at least.
type form struct {
	prefix string
	more   int
	bytes  func(byte) bool
	exact  bool // no longer either
}

var forms = []form{
	{prefix: "eyJ", more: 17, bytes: base64Byte}, // JSON Web Token: {" in base64
	{prefix: "AKIA", more: 16, bytes: upperOrDigit, exact: true},
	{prefix: "ASIA", more: 16, bytes: upperOrDigit, exact: true},
	{prefix: "ghp_", more: 16, bytes: nameByte}, {prefix: "gho_", more: 16, bytes: nameByte}, {prefix: "ghs_", more: 16, bytes: nameByte},
	{prefix: "github_pat_", more: 16, bytes: nameByte},
	{prefix: "glpat-", more: 16, bytes: nameByte},
	{prefix: "xoxb-", more: 16, bytes: nameByte}, {prefix: "xoxp-", more: 16, bytes: nameByte},
	{prefix: "hvs.", more: 16, bytes: nameByte},
}

func base64Byte(c byte) bool { return nameByte(c) || c == '+' || c == '/' || c == '=' }

func upperOrDigit(c byte) bool { return upper(c) || c >= '0' && c <= '9' }

func (f form) cut(text string) string {
	for from := 0; ; {
		i := strings.Index(text[from:], f.prefix)
		if i < 0 {
			return text
		}
		begin := from + i
		end := begin + len(f.prefix)
		for end < len(text) && f.bytes(text[end]) {
			end++
		}
		length := end - begin - len(f.prefix)
		from = end
		if length < f.more || f.exact && length > f.more || begin > 0 && (letter(text[begin-1]) || text[begin-1] >= '0' && text[begin-1] <= '9') {
			continue
		}
		text = text[:begin] + Mark + text[end:]
		from = begin + len(Mark)
	}
}
