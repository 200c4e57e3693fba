package provider

import (
	"path"
	"slices"
	"strings"

	"kmon/record/secret"
)

// interpreter says how to find the program in an interpreter's arguments.
type interpreter struct {
	module []string // options whose value names the program
	code   []string // options that give the program as text: it has no name
	valued []string // options that take the next argument
}

var shell = interpreter{code: []string{"-c"}, valued: []string{"-o", "+o", "-O", "+O", "--rcfile", "--init-file"}}

// interpreters by the name of their executable without its version.
var interpreters = map[string]interpreter{
	"python": {module: []string{"-m"}, code: []string{"-c"}, valued: []string{"-W", "-X", "--check-hash-based-pycs"}},
	"pypy":   {module: []string{"-m"}, code: []string{"-c"}, valued: []string{"-W", "-X"}},
	"node":   {code: []string{"-e", "--eval", "-p", "--print"}, valued: []string{"-r", "--require", "--import", "--loader", "-C", "--conditions"}},
	"nodejs": {code: []string{"-e", "--eval", "-p", "--print"}, valued: []string{"-r", "--require", "--import", "--loader"}},
	"java": {module: []string{"-jar", "-m", "--module"}, valued: []string{"-cp", "-classpath", "--class-path", "-p", "--module-path",
		"--upgrade-module-path", "--add-modules", "--add-opens", "--add-exports", "--add-reads", "--patch-module", "--limit-modules", "--source"}},
	"ruby": {code: []string{"-e"}, valued: []string{"-I", "-r", "-C", "-E"}},
	"perl": {code: []string{"-e", "-E"}, valued: []string{"-I"}},
	"php":  {module: []string{"-f"}, code: []string{"-r"}, valued: []string{"-d", "-c", "-S", "-t"}},
	"lua":  {code: []string{"-e"}, valued: []string{"-l"}},
	"sh":   shell, "bash": shell, "dash": shell, "ash": shell, "zsh": shell, "ksh": shell,
}

// manyInOne are executables that are many programs, told apart by their name
// in argv[0] or by the first argument.
var manyInOne = []string{"busybox", "toybox", "coreutils"}

// executableName names a process by its program: the name it was started by,
// else the base name of its executable, or for an interpreter that of the script, module or jar it runs.
func executableName(exe, comm string, args []string) string {
	return strings.Clone(programName(exe, comm, args)) // not a part of a long command line
}

func programName(exe, comm string, args []string) string {
	base := baseName(exe)
	if base == "" || strings.HasPrefix(exe, "/memfd:") {
		base = comm
	}
	if slices.Contains(manyInOne, base) && len(args) > 0 {
		if applet := baseName(strings.TrimPrefix(args[0], "-")); applet != "" && applet != base {
			base = applet
		} else if len(args) > 1 && args[1] != "" && args[1][0] != '-' {
			base, args = baseName(args[1]), args[1:]
		}
	}
	if name := calledAs(comm, args); name != "" {
		base = name
	}
	in, ok := interpreters[strings.TrimRight(base, "0123456789.")]
	if !ok || len(args) == 0 {
		return base
	}
	if name := in.program(args[1:]); name != "" {
		return name
	}
	return title(args, base)
}

// commLength is how much of a program's name the kernel keeps as comm
// (TASK_COMM_LEN in include/linux/sched.h, less the closing NUL).
const commLength = 15

// calledAs is the name a program was started by, when the kernel (comm) and the
// program (argv[0]) agree on it: /usr/bin/redis-server is a symbolic link to
// redis-check-rdb in Debian. "" when they don't.
func calledAs(comm string, args []string) string {
	if len(args) == 0 || comm == "" {
		return ""
	}
	name, _, _ := strings.Cut(args[0], " ")
	name = baseName(strings.TrimSuffix(strings.TrimPrefix(name, "-"), ":"))
	if name[:min(len(name), commLength)] != comm {
		return ""
	}
	return name
}

// program returns the name of the program among the arguments; "" when there
// is none.
func (in interpreter) program(args []string) string {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case slices.Contains(in.module, arg):
			if i+1 == len(args) {
				return ""
			}
			return moduleName(arg, args[i+1])
		case slices.Contains(in.code, arg):
			return ""
		case slices.Contains(in.valued, arg):
			i++
		case arg == secret.Mark: // the value of an option
		case arg == "" || arg == "-" || strings.HasPrefix(arg, "/dev/") || strings.HasPrefix(arg, "/proc/"):
			return "" // standard input or an open file: it has no name
		case arg[0] != '-' && arg[0] != '+':
			return baseName(arg)
		}
	}
	return ""
}

// moduleName is the name in the value of a module option: the file's, or the
// module's of java's "-m module/main.Class".
func moduleName(option, value string) string {
	if option == "-m" || option == "--module" {
		value, _, _ = strings.Cut(value, "/")
	}
	return baseName(value)
}

// title reads the name a process gave itself by overwriting its arguments, as
// in "gunicorn: master [app]"; base when there is no such name.
func title(args []string, base string) string {
	if len(args) != 1 {
		return base
	}
	name, _, _ := strings.Cut(args[0], ":")
	name, _, _ = strings.Cut(name, " ")
	name = baseName(strings.TrimPrefix(name, "-"))
	if _, same := interpreters[strings.TrimRight(name, "0123456789.")]; name == "" || same {
		return base
	}
	return name
}

// baseName is the name after the last slash, without the mark the kernel
// gives a deleted executable; "" for "" and "/".
func baseName(file string) string {
	file = strings.TrimSuffix(file, " (deleted)")
	if base := path.Base(file); base != "." && base != "/" {
		return base
	}
	return ""
}
