package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Containers as runtimes make them, but for the daemon and the image: namespaces
// and a root of their own with one static program in it.

// actInContainer has the test binary prepare a container and become its program.
const actInContainer = "KMON_TEST_CONTAINER"

func init() { actingAs[actInContainer] = enterContainer }

// container says what a container is made of.
type container struct {
	Root     string   // a directory that is its root
	Host     bool     // the host's root is mounted at /host
	Loopback bool     // lo of its network namespace is up
	Name     string   // of the host, in a UTS namespace of its own; "": the host's
	ReadOnly bool     // its root is; /out is not
	Cgroups  bool     // a cgroup namespace of its own
	Args     []string // its program
	flags    uintptr  // of clone(2)
	cgroup   string   // path of the cgroup that it is in
	env      []string
	credential
}

// credential is with whose rights the program runs: none of it, root's.
type credential struct {
	UID  int
	Caps []uintptr // nil: all of root's
}

// containerRoot makes the root of a container with programs in it.
func containerRoot(t *testing.T, programs ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"proc", "sys", "host", "out", "dev", "old"} {
		check(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	for _, program := range programs {
		check(t, os.Link(program, filepath.Join(root, filepath.Base(program))))
	}
	return root
}

// start starts a container's program and returns it with what it says. Its pid is
// the host's.
func (c container) start(t *testing.T) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	config, err := json.Marshal(c)
	check(t, err)
	hold, release, err := os.Pipe()
	check(t, err)
	defer hold.Close()
	defer release.Close()
	cmd := exec.Command(self)
	cmd.Env = append([]string{actInContainer + "=" + string(config)}, c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | c.flags}
	cmd.ExtraFiles = []*os.File{hold}
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	check(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // the test failed before it ended
			_ = cmd.Wait()
		}
	})
	if c.cgroup != "" {
		check(t, os.WriteFile(filepath.Join(c.cgroup, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600))
	}
	_, err = release.Write([]byte{1})
	check(t, err)
	return cmd, said
}

// enterContainer is the first process of a container: it ends as its program.
func enterContainer() {
	var c container
	err := json.Unmarshal([]byte(os.Getenv(actInContainer)), &c)
	if err == nil {
		runtime.LockOSThread() // some of what follows is of one thread
		err = c.enter()
	}
	fmt.Println("container:", err)
	os.Exit(125)
}

func (c container) enter() error {
	if _, err := os.NewFile(3, "hold").Read(make([]byte, 1)); err != nil { // until it is in its cgroup
		return err
	}
	if c.Cgroups {
		if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
			return fmt.Errorf("cgroup namespace: %w", err)
		}
	}
	if err := c.mount(); err != nil {
		return err
	}
	if c.Name != "" {
		if err := errors.Join(unix.Unshare(unix.CLONE_NEWUTS), unix.Sethostname([]byte(c.Name))); err != nil {
			return fmt.Errorf("host name: %w", err)
		}
	}
	if c.Loopback {
		if err := startLoopback(); err != nil {
			return fmt.Errorf("loopback: %w", err)
		}
	}
	if err := c.become(); err != nil {
		return err
	}
	return unix.Exec(c.Args[0], c.Args, []string{"PATH=/"})
}

// mount makes the container's root this process's.
func (c container) mount() error {
	in := func(dir string) string { return filepath.Join(c.Root, dir) }
	type mount struct {
		from, to, kind string
		flags          uintptr
	}
	mounts := []mount{{"", "/", "", unix.MS_PRIVATE | unix.MS_REC}}
	if c.Host {
		mounts = append(mounts, mount{"/", in("host"), "", unix.MS_BIND | unix.MS_REC})
	}
	mounts = append(mounts,
		mount{c.Root, c.Root, "", unix.MS_BIND | unix.MS_REC},
		mount{"proc", in("proc"), "proc", 0},
		mount{"/sys", in("sys"), "", unix.MS_BIND | unix.MS_REC},
		mount{in("out"), in("out"), "", unix.MS_BIND})
	if c.ReadOnly {
		mounts = append(mounts, mount{"", c.Root, "", unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY})
	}
	for _, m := range mounts {
		if err := unix.Mount(m.from, m.to, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %+v: %w", m, err)
		}
	}
	return errors.Join(
		unix.PivotRoot(c.Root, in("old")),
		os.Chdir("/"),
		unix.Unmount("/old", unix.MNT_DETACH))
}

// become takes on the user and the capabilities, as runtimes do (capabilities(7)).
func (c container) become() error {
	if c.Caps == nil {
		return nil
	}
	for n := uintptr(0); n <= unix.CAP_LAST_CAP; n++ { // of what root gets by executing
		if slices.Contains(c.Caps, n) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", n, err)
		}
	}
	if c.UID == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(c.UID), syscall.Setuid(c.UID)); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, n := range c.Caps {
		data[n/32].Effective |= 1 << (n % 32)
		data[n/32].Permitted |= 1 << (n % 32)
		data[n/32].Inheritable |= 1 << (n % 32)
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	for _, n := range c.Caps {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, n, 0, 0); err != nil {
			return fmt.Errorf("ambient capability %d: %w", n, err)
		}
	}
	return nil
}

func startLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
