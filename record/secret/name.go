package secret

import (
	"slices"
	"strings"
)

// maxName is how much of the end of a name is looked at, in bytes.
const maxName = 96

var (
	// stems make a name one of a secret wherever they stand in it, however the
	// words are joined: DB_PASSWORD, clientSecret, PGPASSWORD, aws-access-key-id.
	stems = []string{"password", "passwd", "passphrase", "passcode", "secret", "credential", "apikey", "accesskey", "privatekey",
		"authkey", "signingkey", "encryptionkey", "accountkey", "sharedkey", "masterkey", "storagekey", "sessionkey"}
	// heads do so as the last word only: basic-auth, but not auth-mode.
	heads = []string{"auth", "authorization", "pass", "pw", "pwd", "psk", "jwt", "bearer", "cookie", "cred", "creds", "sas", "masterauth"}
	// about are last words of names that tell something of a secret and not the
	// secret: password-file, token-ttl.
	about = []string{"file", "files", "filename", "path", "dir", "directory", "folder", "stdin", "fd", "env", "var", "name", "names", "type",
		"mode", "method", "policy", "provider", "providers", "manager", "store", "backend", "server", "host", "url", "uri", "endpoint",
		"port", "issuer", "audience", "ttl", "timeout", "expiry", "expiration", "lifetime", "age", "duration", "interval", "length", "len",
		"size", "min", "max", "count", "limit", "rate", "bucket", "budget", "window", "algorithm", "format", "encoding", "prompt",
		"enabled", "disabled", "required", "optional", "check", "validation", "webhook", "version", "ref", "namespace", "class", "engine",
		"plugin", "plugins", "helper", "command", "cmd", "config", "sock", "separator"}
	// switches are first words of names that turn something on or off.
	switches = []string{"no", "without", "disable", "skip", "enable", "ask", "prompt"}
	// notPass end in "pass" and are something else.
	notPass = []string{"bypass", "compass", "askpass"}
)

// named says whether a name is that of a secret.
func named(name string) bool {
	if name == "PWD" || name == "OLDPWD" { // the shell's working directories
		return false
	}
	words := split(name[max(0, len(name)-maxName):])
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	if slices.Contains(about, last) || len(words) > 1 && slices.Contains(switches, words[0]) {
		return false
	}
	joined := strings.Join(words, "")
	if slices.ContainsFunc(stems, func(stem string) bool { return strings.Contains(joined, stem) }) {
		return true
	}
	if slices.Contains(heads, last) || strings.HasSuffix(last, "pwd") {
		return true
	}
	if strings.HasSuffix(last, "pass") && !slices.ContainsFunc(notPass, func(s string) bool { return strings.HasSuffix(last, s) }) {
		return true
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.HasSuffix(w, "token") || strings.HasSuffix(w, "tokens") })
}

// split gives the words of a name in lower case, without digits at their end:
// dbPassword2, DB_PASSWORD and db.password all are db and password.
func split(name string) []string {
	var words []string
	begin := 0
	add := func(end int) {
		if word := strings.TrimRight(name[begin:end], "0123456789"); word != "" {
			words = append(words, strings.ToLower(word))
		}
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case !letter(c) && (c < '0' || c > '9'):
			add(i)
			begin = i + 1
		case upper(c) && i > begin && !upper(name[i-1]):
			add(i)
			begin = i
		}
	}
	add(len(name))
	return words
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

// nameByte says whether a byte may stand in the name of an option, a variable
// or a key.
func nameByte(c byte) bool {
	return letter(c) || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// harmless says whether what stands for a secret cannot be one: nothing, one
// character, a switch's position; a number, if the name counts tokens; a path,
// where it is the name of an Xorg -auth.
func harmless(name, value string) bool {
	if len(value) < 2 || strings.Trim(value, ",;)}]"+quotes) == Mark {
		return true
	}
	switch strings.ToLower(value) {
	case "true", "false", "yes", "no", "on", "off", "none", "null":
		return true
	}
	name = strings.ToLower(strings.TrimLeft(name, "-"))
	if strings.HasSuffix(name, "tokens") {
		return strings.Trim(value, "0123456789") == ""
	}
	return name == "auth" && value[0] == '/'
}
