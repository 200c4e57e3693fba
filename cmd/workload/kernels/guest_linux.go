package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// results is the directory whose files are handed out.
const results = "/tmp/results"

// beGuest is process 1 of a guest. It does not return: when it is done it
// turns the machine off.
func beGuest() {
	if err := errors.Join(prepare(), runTrials(), handOut()); err != nil {
		fmt.Println("guest:", err)
	}
	unix.Sync()
	fmt.Println("guest: off:", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
	select {}
}

// prepare mounts what programs expect, loads the modules and starts loopback.
func prepare() error {
	os.Setenv("PATH", "/:/usr/sbin:/sbin:/usr/bin:/bin") //nolint:errcheck // a valid name
	os.Setenv("HOME", "/tmp")                            //nolint:errcheck // a valid name
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"cgroup2", "/sys/fs/cgroup"},
		{"tracefs", "/sys/kernel/tracing"}, {"bpf", "/sys/fs/bpf"}, {"securityfs", "/sys/kernel/security"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return errors.Join(os.Mkdir(results, 0o755), loadModules(), startLoopback(), askTwice(), awaitFile(loadDisk))
}

// askTwice has clients of load crowd ask twice and give up before it ends, on
// kernels since 6.5 too.
func askTwice() error {
	err := os.WriteFile("/proc/sys/net/ipv4/tcp_syn_linear_timeouts", []byte("0"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// loadModules loads the modules that are not built into the kernel, nor loaded.
func loadModules() error {
	return loadAll(moduleNames)
}

func loadAll(names []string) error {
	for _, name := range names {
		if err := loadModule("/" + name + moduleEnding); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.FinitModule(int(file.Fd()), "", 0)
}

func startLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// awaitFile waits for a file for a minute: a guest has what the computer leaves.
func awaitFile(path string) error {
	for range 1200 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("no %s after a minute", path)
}

// change makes a change to the guest, for the time of one trial where it can
// be undone.
func change(name string) (undo func() error, err error) {
	nothing := func() error { return nil }
	switch name {
	case "":
		return nothing, nil
	case hideTypes: // as of a kernel that was built without
		const dir = "/sys/kernel/btf"
		return func() error { return unix.Unmount(dir, 0) }, unix.Mount("tmpfs", dir, "tmpfs", 0, "")
	case lockDown: // until the machine is off
		return nothing, os.WriteFile("/sys/kernel/security/lockdown", []byte("confidentiality"), 0)
	}
	return nothing, fmt.Errorf("no change %q", name)
}

func readPlan() (p plan, err error) {
	text, err := os.ReadFile("/" + planName)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// runTrials runs the trials one after the other, up to one that does not end.
// Whether they are right is for the outside to judge.
func runTrials() error {
	plan, err := readPlan()
	for _, t := range plan.Trials {
		if err = errors.Join(err, t.run(plan.TrialLimit)); err != nil {
			break
		}
	}
	return err
}

// run runs kmon while it runs the loads, and keeps what it said and its exit
// code.
func (t trial) run(limit time.Duration) (err error) {
	if t.Cut {
		return t.recordUntilCut(limit)
	}
	if len(t.Fault) > 0 {
		return t.recordFault(limit)
	}
	undo, err := change(t.Change)
	if err != nil {
		return fmt.Errorf("trial %s: %w", t.Name, err)
	}
	defer func() { err = errors.Join(err, undo()) }()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	early, err := t.startEarly(ctx)
	if err != nil {
		return fmt.Errorf("trial %s: early load: %w", t.Name, err)
	}
	code, err := t.record(ctx)
	if err := errors.Join(err, early()); err != nil {
		fmt.Printf("guest: trial %s: %v\n", t.Name, err)
	}
	if ctx.Err() != nil {
		code = fmt.Sprintf("none within %v", limit)
	}
	fmt.Printf("guest: trial %s: exit code %s after %.1f s\n", t.Name, code, time.Since(began).Seconds())
	return errors.Join(ctx.Err(), os.WriteFile(filepath.Join(results, t.Name+codeEnding), []byte(code), 0o644))
}

// record runs kmon, and gives its exit code.
func (t trial) record(ctx context.Context) (string, error) {
	log, err := os.Create(filepath.Join(results, t.Name+logEnding))
	if err != nil {
		return "none", err
	}
	defer log.Close()
	args := append([]string{"record", "-o", filepath.Join(results, t.Name+captureEnding)}, slices.Concat(everything, t.Flags)...)
	for indicator, variant := range t.Force {
		args = append(args, "--variant", indicator+"="+variant)
	}
	cmd := exec.CommandContext(ctx, "/"+kmonName, append(args, "--", "/"+initName, playVerb, t.Name)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) } // it says where it is
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); cmd.ProcessState == nil {
		return "none", err
	}
	return strconv.Itoa(cmd.ProcessState.ExitCode()), nil
}

// startEarly starts the early load of a trial that records, and waits until it
// is connected. The returned function waits for its end, whether kmon has come
// to record or not.
func (t trial) startEarly(ctx context.Context) (wait func() error, err error) {
	if len(t.Loads) == 0 {
		return func() error { return nil }, nil
	}
	err = errors.Join(os.RemoveAll(earlyGate), os.Mkdir(earlyGate, 0o755), os.Mkdir(filepath.Join(results, t.Name), 0o755))
	if err != nil {
		return nil, err
	}
	cmd := t.loadCommand(ctx, earlyName, earlyLoad)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		connected, err := filepath.Glob(filepath.Join(earlyGate, "connected-*"))
		if err != nil || len(connected) == earlyConnections {
			return func() error { return errors.Join(openGate(), cmd.Wait()) }, err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, ctx.Err()
}

// openGate lets the early load ask.
func openGate() error {
	var failed error
	for _, step := range []string{"ask", "answer"} {
		failed = errors.Join(failed, os.WriteFile(filepath.Join(earlyGate, step), nil, 0o644))
	}
	return failed
}

// loadCommand is a load, with its truth in a file of this name.
func (t trial) loadCommand(ctx context.Context, name string, l load) *exec.Cmd {
	deadline, _ := ctx.Deadline()
	cmd := exec.CommandContext(ctx, "/"+workloadName, append(slices.Clone(l),
		"-limit", time.Until(deadline).String(), "-truth", filepath.Join(results, t.Name, name))...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// play runs the loads of a trial.
func play(ctx context.Context, args []string) error {
	plan, err := readPlan()
	if err != nil || len(args) != 1 {
		return fmt.Errorf("play is for guests, and takes the name of a trial: %w", err)
	}
	at := slices.IndexFunc(plan.Trials, func(t trial) bool { return t.Name == args[0] })
	if at < 0 {
		return fmt.Errorf("no trial %q", args[0])
	}
	if err := openGate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, plan.TrialLimit)
	defer cancel()
	for i, l := range plan.Trials[at].Loads {
		do := plan.Trials[at].loadCommand(ctx, truthName(i, l), l).Run
		if deed := deeds[l[0]]; deed != nil {
			do = func() error { return plan.Trials[at].tell(truthName(i, l), l, deed) }
		}
		if err := do(); err != nil {
			return fmt.Errorf("load %s: %w", strings.Join(l, " "), err)
		}
	}
	return nil
}

// handOut writes the results to their disk as a tar archive.
func handOut() error {
	if err := awaitFile(handDisk); err != nil {
		return err
	}
	disk, err := os.OpenFile(handDisk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(disk)
	err = filepath.WalkDir(results, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(results, path)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = archive.Write(content)
		return err
	})
	return errors.Join(err, archive.Close(), disk.Sync(), disk.Close())
}
