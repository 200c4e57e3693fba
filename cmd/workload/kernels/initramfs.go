package main

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What an initial file system holds at its root.
const (
	initName     = "init"
	kmonName     = "kmon"
	workloadName = "workload"
	planName     = "plan.json"
)

// plan is what a guest is to do.
type plan struct {
	Trials []trial `json:"trials"`
	// TrialLimit is when a trial is given up.
	TrialLimit time.Duration `json:"trial_limit_ns"`
}

// writeInitramfs writes the file system that a guest starts from: this program
// as its first process, kmon, the loads, the kernel's modules and the trials.
func (o options) writeInitramfs(path string, p programs, files kernelFiles, trials []trial) error {
	orders, err := json.Marshal(plan{Trials: trials, TrialLimit: o.limit / 2})
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(file, 1<<20)
	archive := &cpio{w: buffer}
	archive.add(planName, orders)
	archive.copy(initName, p.self)
	archive.copy(kmonName, p.kmon)
	archive.copy(workloadName, p.workload)
	for _, module := range files.modules {
		archive.copy(filepath.Base(module), module)
	}
	for _, tool := range files.tools {
		archive.makeDirs(filepath.Dir(tool))
		archive.copy(strings.TrimPrefix(tool, "/"), tool)
	}
	return errors.Join(archive.close(), buffer.Flush(), file.Close())
}

// checkStatic refuses a program that needs libraries, for a guest has none.
func checkStatic(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no program for a guest: %w", path, err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		return fmt.Errorf("%s needs libraries (%v), which a guest has not: build it with CGO_ENABLED=0 (%w)", path, libraries, err)
	}
	return nil
}

// cpio writes an archive of executable files in the form that kernels take for
// an initial file system (Documentation/driver-api/early-userspace, "newc").
// Its first error stays.
type cpio struct {
	w     io.Writer
	inode int
	dirs  map[string]bool // that are there
	err   error
}

// cpioEnd is the name of the last entry, which has no content.
const cpioEnd = "TRAILER!!!"

func (c *cpio) copy(name, path string) {
	content, err := os.ReadFile(path)
	c.err = errors.Join(c.err, err)
	c.add(name, content)
}

// makeDirs makes a directory with those above it.
func (c *cpio) makeDirs(dir string) {
	if c.dirs[dir] || dir == "/" {
		return
	}
	c.makeDirs(filepath.Dir(dir))
	if c.dirs == nil {
		c.dirs = map[string]bool{}
	}
	c.dirs[dir] = true
	c.entry(strings.TrimPrefix(dir, "/"), 0o040755, nil)
}

// add writes one executable file.
func (c *cpio) add(name string, content []byte) { c.entry(name, 0o100755, content) }

// entry writes a header of hexadecimal numbers, the name, the content, each
// filled up to a multiple of four bytes.
func (c *cpio) entry(name string, mode int, content []byte) {
	c.inode++
	header := "070701"
	for _, field := range []int{c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} {
		header += fmt.Sprintf("%08X", field)
	}
	c.write(fill([]byte(header + name + "\x00")))
	c.write(fill(content))
}

func (c *cpio) close() error {
	c.add(cpioEnd, nil)
	return c.err
}

func (c *cpio) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
}

// fill adds zeroes up to a multiple of four bytes.
func fill(p []byte) []byte { return append(p, make([]byte, -len(p)&3)...) }
