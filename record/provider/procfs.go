package provider

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"kmon/format"
)

const (
	// maxCmdline is the longest command line kept, in bytes; the rest is cut
	// and marked by "…". The kernel allows megabytes.
	maxCmdline = 4 << 10
	tooLong    = "…"
	// maxText bounds any other small file of /proc.
	maxText = 64 << 10
	// maxState bounds a state file of a container runtime; real ones are some
	// 10 to 50 KiB.
	maxState = 4 << 20
	// kernelThread is PF_KTHREAD of include/linux/sched.h.
	kernelThread = 0x00200000
)

// procStat is the part of /proc/PID/stat that is used, see proc_pid_stat(5).
type procStat struct {
	comm       string
	state      byte
	parent     int32
	flags      uint64
	startTicks int64  // since boot, in clock ticks
	image      uint64 // changes when the process executes another program
	rssPages   int64  // resident memory, as exact as the kernel's per-CPU counters
}

var errStat = errors.New("not in the form of proc_pid_stat(5)")

// parseStat reads the text of /proc/PID/stat. The command may hold any byte
// but NUL, even ") R 1", so its end is the last parenthesis.
func parseStat(text []byte) (procStat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return procStat{}, errStat
	}
	const first = 3 // number of the field after the command
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 24 || len(fields[0]) != 1 {
		return procStat{}, errStat
	}
	number := func(field int) uint64 { // 0 when missing
		if field-first >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseUint(fields[field-first], 10, 64)
		return n
	}
	parent, err := strconv.ParseInt(fields[4-first], 10, 32)
	if err != nil {
		return procStat{}, errStat
	}
	start, err := strconv.ParseInt(fields[22-first], 10, 64)
	if err != nil || start < 0 {
		return procStat{}, errStat
	}
	return procStat{
		comm:       format.Clean(string(text[open+1 : end])),
		state:      fields[0][0],
		parent:     int32(parent),
		flags:      number(9),
		startTicks: start,
		// start_code and arg_start are randomized at each execve.
		image:    number(26)*31 + number(48),
		rssPages: int64(number(24)),
	}, nil
}

// commandLine turns the NUL-separated text of /proc/PID/cmdline into its
// arguments and the line that they make.
func commandLine(text []byte) (args []string, line string) {
	cut := len(text) > maxCmdline
	if cut {
		text = text[:maxCmdline]
		for n := 0; n < utf8.UTFMax && len(text) > 0; n++ { // not within a rune
			if r, size := utf8.DecodeLastRune(text); r != utf8.RuneError || size != 1 {
				break
			}
			text = text[:len(text)-1]
		}
	}
	text = bytes.TrimRight(text, "\x00")
	if len(text) == 0 {
		return nil, ""
	}
	for arg := range strings.SplitSeq(string(text), "\x00") {
		args = append(args, format.Clean(arg))
	}
	line = strings.TrimRight(strings.Join(args, " "), " ")
	if cut {
		line += tooLong
	}
	return args, line
}

// files reads small files under a root. Its buffer is reused: what read
// returns is valid until the next call.
type files struct {
	root fs.FS
	buf  []byte
}

// read returns at most limit bytes of a file. A file that holds more is cut
// without an error.
func (f *files) read(name string, limit int) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if len(f.buf) == 0 {
		f.buf = make([]byte, 8<<10)
	}
	n := 0
	for n < limit {
		if n == len(f.buf) {
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
		m, err := file.Read(f.buf[n:min(len(f.buf), limit)])
		n += m
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	text := f.buf[:n]
	if len(f.buf) > maxText { // one large file must not stay in memory
		f.buf = nil
	}
	return text, nil
}

// line returns the first line of a file, cleaned; "" when it cannot be read.
func (f *files) line(name string) string {
	text, err := f.read(name, maxText)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return format.Clean(strings.TrimSpace(first))
}

// link returns the target of a symbolic link; "" when it cannot be read.
func (f *files) link(name string) string {
	target, err := fs.ReadLink(f.root, name)
	if err != nil {
		return ""
	}
	return target
}

// namespace returns the inode in a link of /proc/PID/ns, as in
// "net:[4026531840]"; 0 when it cannot be read.
func (f *files) namespace(dir, kind string) int64 {
	target := f.link(path.Join(dir, "ns", kind))
	text, ok := strings.CutPrefix(target, kind+":[")
	if !ok {
		return 0
	}
	id, _ := strconv.ParseInt(strings.TrimSuffix(text, "]"), 10, 64)
	return id
}

// names lists a directory; nil when it cannot be read.
func (f *files) names(dir string) []string {
	entries, err := fs.ReadDir(f.root, dir)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
