package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// machine is one that guests run on, emulated.
type machine struct {
	arch    string   // as Go and Debian call it
	qemu    []string // which emulates it, and the processor
	console string   // as its kernel calls the first serial line
}

var (
	amd64 = machine{arch: "amd64", qemu: []string{"qemu-system-x86_64", "-cpu", "max"}, console: "ttyS0"}
	// A timer that emulates the real-time clock's interrupts does not wake.
	wakeable = machine{arch: "amd64", qemu: append(amd64.qemu, "-machine", "pc,hpet=off"), console: amd64.console}
	// The real algorithm of pointer authentication takes half of the time.
	arm64 = machine{arch: "arm64", qemu: []string{"qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on"}, console: "ttyAMA0"}
)

// programs are what a guest runs.
type programs struct {
	self     string // this program
	kmon     string
	workload string
}

// programsFor gives those built for a machine: the named ones for amd64, those of
// a directory for another.
func (o options) programsFor(m machine) (programs, error) {
	p := o.programs
	if m.arch != amd64.arch {
		dir := filepath.Join(o.others, m.arch)
		p = programs{self: filepath.Join(dir, "kernels"), kmon: filepath.Join(dir, kmonName), workload: filepath.Join(dir, workloadName)}
	}
	return p, errors.Join(checkStatic(p.self), checkStatic(p.kmon), checkStatic(p.workload))
}

// aptOptions are those that bring apt to a machine's packages. For another than
// amd64 it keeps lists of its own, in dir, and this computer's stay as they are.
func (m machine) aptOptions(ctx context.Context, dir string) ([]string, error) {
	if m.arch == amd64.arch {
		return nil, nil
	}
	dir, err := filepath.Abs(filepath.Join(dir, "apt-"+m.arch))
	if err != nil {
		return nil, err
	}
	options := []string{
		"-o", "APT::Architecture=" + m.arch, "-o", "APT::Architectures=" + m.arch,
		"-o", "Dir::State=" + dir, "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + dir,
	}
	if _, err := os.Stat(filepath.Join(dir, "pkgcache.bin")); !errors.Is(err, fs.ErrNotExist) {
		return options, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "lists", "partial"), 0o755); err != nil {
		return nil, err
	}
	_, err = output(ctx, ".", "apt-get", append([]string{"update", "-qq"}, options...)...)
	return options, err
}
