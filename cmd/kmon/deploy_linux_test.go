package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/analyze"
)

// The capabilities that recording cannot do without, and those with which it sees
// all that root sees.
var (
	leastCaps = []uintptr{unix.CAP_BPF, unix.CAP_PERFMON}
	smallCaps = append([]uintptr{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_SYSLOG}, leastCaps...)
)

// Ids that no runtime of this machine gives.
const (
	cartID, cartUID = "ca47", "11111111-2222-4333-8444-555555555555"
	kmonUID         = "99999999-2222-4333-8444-555555555555"
)

// node is a node with a pod on it, and recorders in it and beside it.
type node struct {
	kmon, workload string // static programs
	cgroups        string // the hierarchy's mount point
}

func newNode(t *testing.T) node {
	t.Helper()
	need(t, "go", "nsenter")
	n := node{cgroups: "/sys/fs/cgroup"}
	n.kmon, n.workload = programs(t)
	if _, err := os.Stat(n.cgroups + "/memory/cgroup.procs"); err == nil {
		n.cgroups += "/memory"
	}
	// The kubelet tells the pod's name by the name of a directory.
	makeDirs(t, "/var/log/pods", "shop_cart-7d9f8b6c5-x2x4z_"+cartUID, "cart")
	return n
}

// makeDirs makes directories one in the other and removes those that were not
// there before. It returns the last.
func makeDirs(t *testing.T, dir string, more ...string) string {
	t.Helper()
	for _, name := range append([]string{""}, more...) {
		dir = filepath.Join(dir, name)
		at := dir
		err := os.Mkdir(at, 0o755)
		if err == nil {
			t.Cleanup(func() { removeCgroup(t, at) })
		} else if !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	return dir
}

// removeCgroup removes a directory; one of cgroups stays busy for a moment after
// its last process.
func removeCgroup(t *testing.T, dir string) {
	err := os.Remove(dir)
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		err = os.Remove(dir)
	}
	if err != nil {
		t.Error(err)
	}
}

// podCgroup makes the cgroup of a pod's container, as the cgroupfs driver names it.
func (n node) podCgroup(t *testing.T, uid, id string) string {
	t.Helper()
	return makeDirs(t, filepath.Join(n.cgroups, "kubepods"), "pod"+uid, strings.Repeat(id, 64/len(id)))
}

// recorder is kmon at work.
type recorder struct {
	cmd     *exec.Cmd
	said    *strings.Builder
	capture string
}

// inContainer starts kmon in a container.
func (n node) inContainer(t *testing.T, id string, c container, args ...string) recorder {
	t.Helper()
	c.Root, c.Name, c.ReadOnly, c.Cgroups = containerRoot(t, n.kmon), "in-a-container", true, true
	c.Args = append([]string{"/kmon", "record", "-o", "/out/x.kmon"}, args...)
	c.cgroup = n.podCgroup(t, kmonUID, id)
	if c.UID != 0 {
		check(t, os.Chown(filepath.Join(c.Root, "out"), c.UID, c.UID))
		check(t, os.Chmod(c.Root, 0o755))
		check(t, os.Chmod(filepath.Dir(c.Root), 0o755)) // the test's own, in the folder of all
	}
	r := recorder{capture: filepath.Join(c.Root, "out/x.kmon")}
	r.cmd, r.said = c.start(t)
	return r
}

func (n node) onHost(t *testing.T, args ...string) recorder {
	t.Helper()
	r := recorder{capture: filepath.Join(t.TempDir(), "host.kmon"), said: &strings.Builder{}}
	r.cmd = exec.Command(n.kmon, append([]string{"record", "-o", r.capture}, args...)...)
	r.cmd.Stdout, r.cmd.Stderr = r.said, r.said
	check(t, r.cmd.Start())
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			_ = r.cmd.Process.Kill() // the test failed before it ended
			_ = r.cmd.Wait()
		}
	})
	return r
}

// await waits until kmon takes marks, which is the last thing that it prepares,
// under the number that it has on the host.
func (r recorder) await(t *testing.T) {
	t.Helper()
	sockets := fmt.Sprintf("/proc/%d/net/unix", r.cmd.Process.Pid)
	name := fmt.Sprintf("@kmon-record-%d\n", r.cmd.Process.Pid)
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(sockets)
		if err == nil && bytes.Contains(text, []byte(name)) {
			return
		}
		if time.Now().After(deadline) || r.ended() {
			t.Fatalf("it does not record: %v, %s", err, r.said)
		}
	}
}

// ended says whether the process has, by itself.
func (r recorder) ended() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// stop ends the recording in order and returns what it gives.
func (r recorder) stop(t *testing.T) recorded {
	t.Helper()
	check(t, r.cmd.Process.Signal(syscall.SIGTERM))
	if code := exitCodeOf(t, r.cmd); code != 0 {
		t.Fatalf("it ended with %d: %s", code, r.said)
	}
	report := r.capture + ".json"
	if _, stderr, code := kmon("analyze", r.capture, "-o", report); code != 0 && code != codeInconclusive {
		t.Fatalf("analyze ended with %d: %s", code, stderr)
	}
	got := recorded{capture: r.capture, said: r.said.String()}
	check(t, json.Unmarshal(read(t, report), &got.Analysis))
	if n := lost(got.Analysis, "exchanges"); n > 0 {
		t.Errorf("lost %d exchanges", n)
	}
	return got
}

// recorded is what a recording gives.
type recorded struct {
	analyze.Analysis
	capture, said string
}

// rows are the rows of a table, by the names of its columns.
func (r recorded) rows(t *testing.T, table string) (rows []map[string]any) {
	t.Helper()
	stdout, stderr, code := kmon("print", r.capture, table, "--format", "ndjson")
	if strings.Contains(stderr, "has no rows in a table") {
		return nil
	}
	if code != 0 {
		t.Fatal(stderr)
	}
	for line := range strings.Lines(stdout) {
		row := map[string]any{}
		check(t, json.Unmarshal([]byte(line), &row))
		rows = append(rows, row)
	}
	return rows
}

// warnings are the marks of what the recording lacks.
func (r recorded) warnings(t *testing.T) []map[string]any {
	t.Helper()
	return slices.DeleteFunc(r.rows(t, "marks"), func(row map[string]any) bool { return row["kind"] != "warning" })
}

// named tells the services, edges, processes, containers and listeners of the
// programs of the load, as text.
func (r recorded) named(t *testing.T, pids []int) []string {
	t.Helper()
	var all []string
	for _, s := range r.Services {
		if strings.Contains(s.Name, "echo-") || s.Name == "cart" {
			all = append(all, fmt.Sprintf("service %s by %s, %d requests, %d instances, in %d out %d", s.Name, s.Source, s.Requests, len(s.Instances), s.BytesIn, s.BytesOut))
		}
	}
	for _, e := range r.Edges {
		if strings.Contains(e.Server, "echo-") || e.Server == "cart" {
			all = append(all, fmt.Sprintf("edge %s → %s: %d requests on %d connections", e.Client, e.Server, e.Requests, e.Connections))
		}
	}
	columns := func(table string, keep func(map[string]any) bool, names ...string) {
		for _, row := range r.rows(t, table) {
			if keep(row) {
				line := table
				for _, name := range names {
					line += fmt.Sprintf(" %s=%v", name, row[name])
				}
				all = append(all, line)
			}
		}
	}
	ofLoad := func(row map[string]any) bool {
		pid, ok := row["pid"].(float64)
		return ok && slices.Contains(pids, int(pid))
	}
	columns("processes", ofLoad, "pid", "comm", "exe", "cmdline", "cgroup", "container_id", "pidns_id", "netns_id", "mntns_id", "uid", "service", "service_source", "instance")
	columns("listeners", ofLoad, "pid", "netns_id", "addr", "port")
	columns("containers", func(row map[string]any) bool { return row["pod_uid"] == cartUID }, "container_id", "runtime", "name", "pod", "pod_namespace", "source", "service")
	slices.Sort(all)
	return slices.Compact(all)
}

// counts tells what was counted of the load's connections, whatever they are
// called.
func (r recorded) counts() string {
	var all []string
	for _, e := range r.Edges {
		if e.Requests == loadRequests {
			all = append(all, fmt.Sprintf("%d connections, %d bytes sent, %d received\n", e.Connections, e.BytesSent, e.BytesReceived))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// childrenOf lists the processes below a process, itself included.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	all := []int{pid}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	check(t, err)
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) || errors.Is(err, syscall.ESRCH) { // the thread has ended, before it was opened or since
			continue
		}
		check(t, err)
		for _, child := range strings.Fields(string(text)) {
			var n int
			_, err := fmt.Sscan(child, &n)
			check(t, err)
			all = append(all, childrenOf(t, n)...)
		}
	}
	return all
}

// load is requests between two processes: connected before the recordings begin,
// asking while they run.
type load struct {
	cmd  *exec.Cmd
	said *strings.Builder
	gate string
	pids []int
}

const loadConnections, loadRequests = 3, 300

func loadArgs(gate string) []string {
	return []string{"echo", "-connections", fmt.Sprint(loadConnections), "-requests", fmt.Sprint(loadRequests), "-gate", gate, "-limit", "5m"}
}

func (l *load) await(t *testing.T, state string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(l.gate, state+"-*"))
		check(t, err)
		if len(files) == loadConnections {
			l.pids = childrenOf(t, l.cmd.Process.Pid)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are %s: %s", len(files), state, l.said)
		}
	}
}

// pass lets the load go on.
func (l *load) pass(t *testing.T, gates ...string) {
	t.Helper()
	for _, gate := range gates {
		write(t, filepath.Join(l.gate, gate), nil)
	}
	if code := exitCodeOf(t, l.cmd); code != 0 {
		t.Fatalf("the load ended with %d: %s", code, l.said)
	}
}

func (n node) loadOnHost(t *testing.T) *load {
	t.Helper()
	l := &load{gate: t.TempDir(), said: &strings.Builder{}}
	l.cmd = exec.Command(n.workload, loadArgs(l.gate)...)
	l.cmd.Stdout, l.cmd.Stderr = l.said, l.said
	check(t, l.cmd.Start())
	t.Cleanup(func() {
		if l.cmd.ProcessState == nil {
			_ = l.cmd.Process.Kill() // the test failed before it ended
			_ = l.cmd.Wait()
		}
	})
	l.await(t, "connected")
	return l
}

func (n node) loadInPod(t *testing.T) *load {
	t.Helper()
	root := containerRoot(t, n.workload)
	check(t, os.Mkdir(filepath.Join(root, "tmp"), 0o777))
	check(t, os.Mkdir(filepath.Join(root, "gate"), 0o777))
	l := &load{gate: filepath.Join(root, "gate")}
	l.cmd, l.said = container{
		Root: root, Name: "cart-7d9f8b6c5-x2x4z", Cgroups: true, Loopback: true, Args: append([]string{"/workload"}, loadArgs("/gate")...),
		flags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC, cgroup: n.podCgroup(t, cartUID, cartID),
	}.start(t)
	l.await(t, "connected")
	return l
}

// The same node recorded from itself and from containers: names and counts are
// the same wherever the host's files can be seen, and where they can't nothing
// has a wrong one.
func TestRecordInContainers(t *testing.T) {
	long(t)
	n := newNode(t)
	outside, inside := n.loadOnHost(t), n.loadInPod(t)
	const ofItsOwn = syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET
	pids := slices.Concat(outside.pids, inside.pids)
	targets := []string{"-p", strings.ReplaceAll(strings.Trim(fmt.Sprint(pids), "[]"), " ", ",")} // of the host, whoever is told
	there := append([]string{"--host-root", "/host"}, targets...)
	recorders := map[string]recorder{
		"host": n.onHost(t, targets...),
		// kubectl debug node: the host's pids and network, its / at /host
		"debug": n.inContainer(t, "d0", container{Host: true, flags: 0}, there...),
		// hostPID: true
		"hostPID": n.inContainer(t, "d1", container{flags: ofItsOwn}, targets...),
		// nothing but the host's / at /host
		"ownPIDs": n.inContainer(t, "d2", container{Host: true, flags: ofItsOwn | syscall.CLONE_NEWPID}, there...),
		// the README's DaemonSet
		"pod": n.inContainer(t, "d6", container{Host: true, flags: ofItsOwn, credential: credential{0, smallCaps}}, there...),
		// the same as a user
		"small": n.inContainer(t, "d4", container{Host: true, flags: ofItsOwn, credential: credential{65534, smallCaps}}, targets...),
		"least": n.inContainer(t, "d5", container{Host: true, flags: ofItsOwn, credential: credential{65534, leastCaps}}, targets...),
		"blind": n.inContainer(t, "d3", container{flags: ofItsOwn | syscall.CLONE_NEWPID}, "-e", "tcp,proc", "--port", "1"),
	}
	for _, r := range recorders {
		r.await(t)
	}
	n.markAcross(t, recorders["ownPIDs"].cmd.Process.Pid)
	outside.pass(t, "ask", "answer")
	inside.pass(t, "ask", "answer")
	got := map[string]recorded{}
	for name, r := range recorders {
		got[name] = r.stop(t)
	}
	host := got["host"]
	want := host.named(t, pids)
	text := strings.Join(want, "\n")
	for _, part := range []string{
		fmt.Sprintf("service echo-server by executable, %d requests", loadRequests), fmt.Sprintf("service cart by kubernetes, %d requests", loadRequests),
		fmt.Sprintf("edge echo-client → echo-server: %d requests on %d connections", loadRequests, loadConnections), "edge cart → cart", "pod=cart-7d9f8b6c5-x2x4z", "listeners pid=",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q on the host:\n%s", part, text)
		}
	}
	traceable := canTrace(t)
	for name, r := range got {
		t.Run(name, func(t *testing.T) {
			same := name == "host" || name == "debug" || name == "pod" || name == "small" || name == "hostPID" && traceable
			if lines := r.named(t, pids); same && !slices.Equal(lines, want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(lines, "\n"), text)
			}
			if a, b := r.Captures[0].Host, host.Captures[0].Host; same && a != b || a == "in-a-container" {
				t.Errorf("the host is called %q, not %q", a, b)
			}
			warnings := r.warnings(t)
			if same != (len(warnings) == 0) {
				t.Errorf("it warns: %v", warnings)
			}
			for _, row := range warnings {
				if !strings.Contains(r.said, row["text"].(string)) {
					t.Errorf("%v is not said at the end: %s", row, r.said)
				}
			}
			r.contradicts(t, host, append(pids, 1, 2, os.Getpid()))
		})
	}
	if a, b := got["least"].counts(), host.counts(); a != b || strings.Count(b, "\n") != 2 {
		t.Errorf("with the least capabilities: got\n%swant\n%s", a, b)
	}
	for _, c := range []string{"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYSLOG"} {
		if said := got["least"].said; !strings.Contains(said, c) {
			t.Errorf("nothing is said of %s: %s", c, said)
		}
	}
	for _, name := range []string{"ownPIDs", "blind"} {
		if stdout, _, _ := kmon("info", got[name].capture); !strings.Contains(stdout, "existing is not recorded: ") || !strings.Contains(stdout, "pid namespace of its own") {
			t.Errorf("%s: info does not say what is missing: %s", name, stdout)
		}
	}
	if own := got["debug"].rows(t, "processes"); !slices.ContainsFunc(own, func(row map[string]any) bool {
		return int(row["pid"].(float64)) == recorders["debug"].cmd.Process.Pid && strings.HasSuffix(row["cgroup"].(string), "/kubepods/pod"+kmonUID+"/"+strings.Repeat("d0", 32))
	}) {
		t.Errorf("kmon does not know its own cgroup, %v", recorders["debug"].cmd.Process.Pid)
	}
}

// markAcross marks a recorder in another network namespace: from here it is told
// how, and so it works.
func (n node) markAcross(t *testing.T, pid int) {
	t.Helper()
	number := fmt.Sprint(pid)
	_, stderr, code := kmon("mark", "--pid", number, "from afar")
	if want := "process " + number + " records in another network namespace: run kmon there, with nsenter -t " + number + " -n kmon"; code != codeError || !strings.Contains(stderr, want) {
		t.Errorf("a mark from another namespace ends with %d: %s", code, stderr)
	}
	out, err := exec.Command("nsenter", "-t", number, "-n", n.kmon, "mark", "--pid", number, "near").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "marked /out/x.kmon") {
		t.Errorf("a mark from its namespace: %v, %s", err, out)
	}
}

// contradicts compares what a recording says of processes with what the host
// says: it may say less, and nothing else. A service may have a poorer name, of
// another source.
func (r recorded) contradicts(t *testing.T, host recorded, pids []int) {
	t.Helper()
	said := map[string][]map[string]any{}
	for _, row := range host.rows(t, "processes") {
		pid := fmt.Sprint(row["pid"])
		said[pid] = append(said[pid], row)
	}
	for _, row := range r.rows(t, "processes") {
		if pid, ok := row["pid"].(float64); !ok || !slices.Contains(pids, int(pid)) {
			continue
		}
		of := said[fmt.Sprint(row["pid"])]
		for _, column := range []string{"exe", "service", "cgroup", "container_id", "netns_id", "mntns_id"} {
			value := row[column]
			agrees := func(other map[string]any) bool {
				return other[column] == value || column == "service" && other["service_source"] != row["service_source"]
			}
			if value != nil && value != "" && value != float64(0) && len(of) > 0 && !slices.ContainsFunc(of, agrees) {
				t.Errorf("process %v has %s %v, on the host it is %v", row["pid"], column, value, of[0][column])
			}
		}
	}
}

// canTrace says whether a process here may see the root of the first one.
func canTrace(t *testing.T) bool {
	t.Helper()
	_, err := os.Stat("/proc/1/root/proc")
	if err != nil && !os.IsPermission(err) {
		t.Fatal(err)
	}
	return err == nil
}
