package provider

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"kmon/format"
)

// A node in a text file, one thing a line:
//
//	proc PID parent=1 start=TICKS comm=x uid=0 net=1 pages=0 exe=/bin/x cgroup=0::/a;4:memory:/b fds=INODE,… args: x -y
//	                 (pages: resident memory, a page being 1 kB; then 8 kB are swapped)
//	dir PATH INODE
//	link PATH TARGET
//	file PATH        its text follows, each line after a tab
//	want             what is expected follows, each line after a tab
//
// "<ab>" stands for the container id made of "ab" 32 times. Lines that begin
// with # and empty lines are skipped.
type node struct {
	root fstest.MapFS
	want string
}

func readNode(t testing.TB, file string) node {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parseNode(t, string(text))
}

func parseNode(t testing.TB, text string) node {
	t.Helper()
	n := node{root: fstest.MapFS{"proc": {Mode: fs.ModeDir | 0o555}}}
	var into func(line string)
	var processes []string // made last: they share the files of their namespace
	for line := range strings.Lines(longIDs(text)) {
		if body, ok := strings.CutPrefix(line, "\t"); ok {
			into(body)
			continue
		}
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		switch fields[0] {
		case "proc":
			processes = append(processes, line)
		case "dir":
			inode, err := strconv.ParseUint(fields[2], 10, 64)
			if err != nil {
				t.Fatal(line, err)
			}
			n.root[fields[1]] = &fstest.MapFile{Mode: fs.ModeDir | 0o755, Sys: sysWithInode(inode)}
		case "link":
			n.root[fields[1]] = symlink(fields[2])
		case "file":
			f := &fstest.MapFile{}
			n.root[fields[1]] = f
			into = func(body string) { f.Data = append(f.Data, body...) }
		case "want":
			into = func(body string) { n.want += body }
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	for _, line := range processes {
		n.addProcess(t, line)
	}
	return n
}

func symlink(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

// longIDs and shortIDs replace the short for the long container ids and back.
func longIDs(text string) string {
	return eachID(func(short, long string) { text = strings.ReplaceAll(text, short, long) }, &text)
}

func shortIDs(text string) string {
	return eachID(func(short, long string) {
		text = strings.ReplaceAll(text, long, short)
		text = strings.ReplaceAll(text, long[:12], short)
	}, &text)
}

// eachID calls do for each container id and then returns the text.
func eachID(do func(short, long string), text *string) string {
	for _, two := range []string{"a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3", "c1", "c2", "d1", "d2", "e1", "e2"} {
		do("<"+two+">", strings.Repeat(two, 32))
	}
	return *text
}

func (n node) addProcess(t testing.TB, line string) {
	t.Helper()
	line, args, _ := strings.Cut(strings.TrimSpace(line), " args:")
	args = strings.TrimSpace(args)
	fields := strings.Fields(line)
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(line, err)
	}
	v := map[string]string{"parent": "1", "start": "1000", "comm": path.Base(fields[1]), "uid": "0", "net": "1", "cgroup": "0::/", "flags": "0", "pages": "0"}
	for _, f := range fields[2:] {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			t.Fatal(line)
		}
		v[key] = strings.ReplaceAll(value, `\x20`, " ")
	}
	n.setProcess(pid, v, strings.ReplaceAll(args, " ", "\x00"))
}

// setProcess writes the files of one process.
func (n node) setProcess(pid int, v map[string]string, args string) {
	dir := fmt.Sprintf("proc/%d/", pid)
	put := func(name, text string) { n.root[dir+name] = &fstest.MapFile{Data: []byte(text)} }
	put("stat", fmt.Sprintf("%d (%s) S %s 1 1 0 -1 %s 0 0 0 0 0 0 0 0 20 0 1 0 %s 0 %s 0 %d 0 0 0 0 0\n", pid, v["comm"], v["parent"], v["flags"], v["start"], v["pages"], pid))
	status := fmt.Sprintf("Name:\t%s\nUid:\t0\t%s\t0\t0\n", v["comm"], v["uid"])
	if v["pages"] != "0" {
		status += fmt.Sprintf("VmRSS:\t %s kB\nVmSwap:\t   8 kB\n", v["pages"])
	}
	put("status", status)
	put("cmdline", args+"\x00")
	put("cgroup", strings.ReplaceAll(v["cgroup"], ";", "\n")+"\n")
	if v["exe"] != "" {
		n.root[dir+"exe"] = symlink(v["exe"])
	}
	for _, kind := range []string{"net", "pid", "mnt"} {
		n.root[dir+"ns/"+kind] = symlink(kind + ":[" + v["net"] + "]")
	}
	for i, inode := range strings.FieldsFunc(v["fds"], func(r rune) bool { return r == ',' }) {
		n.root[dir+"fd/"+strconv.Itoa(i+3)] = symlink("socket:[" + inode + "]")
	}
	for _, name := range []string{"tcp", "tcp6", "dev", "route", "fib_trie", "if_inet6"} {
		if f := n.root["net"+v["net"]+"/"+name]; f != nil {
			n.root[dir+"net/"+name] = f
		}
	}
}

// remove takes a file or a tree away.
func (n node) remove(name string) {
	for key := range n.root {
		if key == name || strings.HasPrefix(key, name+"/") {
			delete(n.root, key)
		}
	}
}

// faulty is a file system some of whose names fail.
type faulty struct {
	fstest.MapFS
	errs map[string]error
	// onOpen is called before a file is opened.
	onOpen func(name string)
}

func (f faulty) Open(name string) (fs.File, error) {
	if f.onOpen != nil {
		f.onOpen(name)
	}
	if err := f.errs[name]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f.MapFS.Open(name)
}

func (f faulty) ReadLink(name string) (string, error) {
	if err := f.errs[name]; err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return f.MapFS.ReadLink(name)
}

// newProvider makes a provider of a tree; a test fails when it cannot.
func newProvider(t testing.TB, root fs.FS, config string) *Provider {
	t.Helper()
	c, err := ParseConfig("test.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Root: root, Config: c})
	if err != nil {
		t.Fatal(err)
	}
	p.bootOffset = 0
	return p
}

// show writes a snapshot's rows for comparison.
func show(s Snapshot) string {
	var b strings.Builder
	for _, r := range s.Processes {
		fmt.Fprintf(&b, "process %d %s: %s (%s)", r.PID, r.Comm, r.Service, r.ServiceSource)
		if r.Instance != "" {
			fmt.Fprintf(&b, " of %s", r.Instance)
		}
		if r.ContainerID != "" {
			fmt.Fprintf(&b, " in %s", r.ContainerID)
		}
		fmt.Fprintf(&b, " cgroup %s\n", r.Cgroup)
	}
	for _, r := range s.Containers {
		fmt.Fprintf(&b, "container %s %s: %s, image %q, pod %s/%s %s, service %q, by %s\n",
			r.ContainerID, r.Runtime, r.Name, r.Image, r.PodNamespace, r.Pod, r.PodUID, r.Service, r.Source)
	}
	for _, r := range s.Listeners {
		fmt.Fprintf(&b, "listener %d %s port %d: %d\n", r.NetnsID, r.Addr, r.Port, r.PID)
	}
	for _, r := range s.Interfaces {
		fmt.Fprintf(&b, "interface %d %s %s index %d mtu %d\n", r.NetnsID, r.Name, r.Addr, r.Index, r.MTU)
	}
	return shortIDs(b.String())
}

// tell passes an event on, as one whose arguments hold no spaces.
func tell(p *Provider, proc format.Proc) (format.Process, bool) {
	return p.Exec(proc, strings.Split(proc.Cmdline, " "))
}
