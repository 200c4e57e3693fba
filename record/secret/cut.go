package secret

import (
	"path"
	"slices"
	"strings"
)

// Mark stands in the place of a secret.
const Mark = "***"

// maxDepth bounds how often text within text is looked into: sh -c 'ssh host
// "sh -c …"'.
const maxDepth = 4

// Line is the arguments joined by spaces, with their secrets cut.
func Line(args []string) string { return strings.Join(Cut(args), " ") }

// Cut returns the arguments with their secrets cut; args itself, which is never
// changed, if there are none. The result has as many arguments.
func Cut(args []string) []string { return cutArgs(args, 0) }

func cutArgs(args []string, depth int) []string {
	result := args
	c := command{}
	for i, arg := range args {
		cut := c.next(arg, depth)
		if cut == arg {
			continue
		}
		if &result[0] == &args[0] {
			result = slices.Clone(args)
		}
		result[i] = cut
	}
	return result
}

// command is what the arguments up to one say about the next.
type command struct {
	began    bool
	program  *program // whose options of one letter are known; nil: none
	wraps    bool     // another program may follow among the arguments
	login    bool     // an argument "login" was there
	previous string
	expected string // name of the option whose value the next argument is
	keep     string // what ends the part of that value that is kept: the user of user:password
	script   bool   // the next argument is read by a shell
}

// next takes the next argument and returns it without secrets.
func (c *command) next(arg string, depth int) string {
	name, keep, script := c.expected, c.keep, c.script
	c.expected, c.keep, c.script = "", "", false
	defer func() { c.previous = arg }()
	if name != "" && (keep != "" || !flagLike(arg)) {
		if keep != "" {
			return after(arg, keep)
		}
		if schemes(arg) { // Authorization: Bearer X, without quotes
			c.expected = name
			return arg
		}
		if harmless(name, arg) {
			return arg
		}
		return Mark
	}
	c.enter(arg)
	if cut, ok := c.option(arg); ok {
		return cut
	}
	if name, ok := strings.CutSuffix(arg, ":"); ok && whole(name) && named(name) {
		c.expected = name
		return arg
	}
	if name, value, ok := strings.Cut(arg, "="); ok && !script && whole(name) && named(name) {
		if harmless(name, value) {
			return arg
		}
		return name + "=" + Mark
	}
	return cutText(arg, depth)
}

// enter notes what kind of program the following arguments belong to.
func (c *command) enter(arg string) {
	base := path.Base(strings.TrimSuffix(arg[strings.LastIndexAny(arg, ";|&(`")+1:], ".exe"))
	switch {
	case !c.began && strings.Contains(arg, "="): // a variable set for the command
		return
	case c.began && (!c.wraps || arg == "" || arg[0] == '-' || slices.Contains(notPrograms, c.previous) || strings.HasPrefix(c.previous, "--") && c.previous != "--"):
	default:
		if p := programOf(base); p != nil {
			c.program = p
		}
		c.wraps = c.wraps || slices.Contains(wrappers, base)
	}
	c.began = true
	c.login = c.login || arg == "login"
	c.script = len(arg) > 1 && len(arg) < 6 && arg[0] == '-' && arg[1] != '-' && arg[len(arg)-1] == 'c'
}

// option cuts an option whose value is attached to it, and notes one whose
// value follows.
func (c *command) option(arg string) (cut string, ok bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return "", false
	}
	if o, value := c.program.option(arg); o != nil && (!o.login || c.login) {
		if o.once {
			c.program = nil
		}
		switch {
		case value == "" && o.separate:
			c.expected, c.keep = o.name, o.keep
			return arg, true
		case value == "" || !o.attached || portMapping(value):
		case o.keep != "":
			return o.name + after(value, o.keep), true
		default:
			return o.name + Mark, true
		}
	}
	if name := strings.TrimLeft(arg, "-"); whole(name) && len(name) > 1 && named(name) && !c.program.prompts(arg) {
		c.expected = name
		return arg, true
	}
	return "", false
}

// whole says whether text is a name and nothing else.
func whole(text string) bool {
	for i := range len(text) {
		if !nameByte(text[i]) {
			return false
		}
	}
	return text != ""
}

// flagLike says whether an argument looks like an option and not like a value.
func flagLike(arg string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	name, _, _ = strings.Cut(name, "=")
	return arg != "" && arg[0] == '-' && name != "" && letter(name[0]) && whole(name)
}

// portMapping knows the value of docker's -p8080:80 from a password.
func portMapping(value string) bool {
	return strings.Contains(value, ":") && strings.Trim(value, "0123456789.:/tcpud") == ""
}

// after keeps what is before the first separator, and cuts what follows.
func after(value, separator string) string {
	user, password, ok := strings.Cut(value, separator)
	if !ok || password == "" {
		return value
	}
	return user + separator + Mark
}
