package record

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// recorderMode makes the test binary a recorder in a process of its own. Its
// value is the capture's name, behind "all:" where all collectors are to run as
// they cost most. It ends with its standard input, and tells its Result.
const recorderMode = "KMON_RECORD_TEST_RECORDER"

func beRecorder() {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // any end is the end
		stop()
	}()
	status := make(chan Status, 1)
	go func() {
		<-status
		fmt.Println("records")
	}()
	path, all := strings.CutPrefix(os.Getenv(recorderMode), "all:")
	o := Options{Output: path}
	if all {
		o = everything(path)
	}
	o.Status = status
	result, err := Run(ctx, o)
	if err := errors.Join(err, json.NewEncoder(os.Stdout).Encode(result)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// everything runs all collectors as they cost most.
func everything(output string) Options {
	return Options{
		Output: output, Collectors: append(defaultCollectors(), callsCollector),
		Syscalls: []string{"all"}, SyscallLatency: true, UserStacks: true,
	}
}

// startRecorder starts a recorder and waits until it records; output is the value
// of recorderMode.
func startRecorder(t *testing.T, output string) (cmd *exec.Cmd, end func() Result) {
	t.Helper()
	requireBPF(t)
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), recorderMode+"="+output)
	cmd.Stderr = os.Stderr
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it still runs
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil {
		t.Fatalf("the recorder did not begin: %v (%q)", err, line)
	}
	return cmd, func() (result Result) {
		t.Helper()
		_ = leash.Close() // it may have ended
		err := json.NewDecoder(lines).Decode(&result)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Errorf("the recorder: %v", err)
		}
		return result
	}
}

// heldObjects are the ids of what a process holds in the kernel.
type heldObjects struct{ programs, maps, links []uint32 }

// objectsOf reads what eBPF objects a process has open: others on this machine
// may record, too.
func objectsOf(t *testing.T, pid int) (o heldObjects) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fdinfo")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, _ := os.ReadFile(filepath.Join(dir, entry.Name())) // it may be closed meanwhile
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err != nil {
				continue
			}
			switch name { // a link tells its program's, too
			case "prog_id":
				o.programs = append(o.programs, uint32(id))
			case "map_id":
				o.maps = append(o.maps, uint32(id))
			case "link_id":
				o.links = append(o.links, uint32(id))
			}
		}
	}
	return o
}

// left are those that are still there.
func (o heldObjects) left() heldObjects {
	return heldObjects{
		programs: stillThere(o.programs, func(id uint32) (io.Closer, error) { return ebpf.NewProgramFromID(ebpf.ProgramID(id)) }),
		maps:     stillThere(o.maps, func(id uint32) (io.Closer, error) { return ebpf.NewMapFromID(ebpf.MapID(id)) }),
		links:    stillThere(o.links, func(id uint32) (io.Closer, error) { return link.NewFromID(link.ID(id)) }),
	}
}

func stillThere(ids []uint32, open func(id uint32) (io.Closer, error)) (left []uint32) {
	for _, id := range ids {
		if object, err := open(id); err == nil {
			_ = object.Close() // only looked at
			left = append(left, id)
		} else if !errors.Is(err, os.ErrNotExist) {
			left = append(left, id) // what cannot be asked for is not known to be gone
		}
	}
	return left
}

func (o *heldObjects) add(more heldObjects) {
	o.programs = append(o.programs, more.programs...)
	o.maps = append(o.maps, more.maps...)
	o.links = append(o.links, more.links...)
}

func (o heldObjects) count() int { return len(o.programs) + len(o.maps) + len(o.links) }

// waitUntilGone waits until the kernel has freed all: it does so when the last
// CPU may have left a program, and some wait for their maps.
func (o heldObjects) waitUntilGone(t *testing.T) {
	t.Helper()
	if len(o.programs) == 0 || len(o.maps) == 0 || len(o.links) == 0 {
		t.Fatalf("nothing was there to go: %+v", o)
	}
	waitUntil(t, "the kernel has freed what a recorder had", func() bool { return o.left().count() == 0 })
}

// openFiles lists what this process has open.
func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, entry := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err == nil {
			files = append(files, entry.Name()+" "+to)
		}
	}
	return files
}
