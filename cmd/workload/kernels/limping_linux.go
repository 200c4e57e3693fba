package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// recordFault records a load that something bad happens to.
func (t trial) recordFault(limit time.Duration) error {
	if err := errors.Join(os.MkdirAll("/run", 0o755), loadAll(faultModules), t.makeLoop()); err != nil { // ip keeps names of networks there
		return fmt.Errorf("trial %s: %w", t.Name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	path := filepath.Join(results, t.Name)
	log, err := os.Create(path + logEnding)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"record", "-o", path + captureEnding, "--", "/" + workloadName, "fault"}
	kmon := exec.CommandContext(ctx, "/"+kmonName, append(append(args, t.Fault...),
		"-duration", faultDuration.String(), "-limit", limit.String(), "-truth", path+truthEnding)...)
	kmon.Stdout = io.MultiWriter(log, os.Stdout) // the load tells when it begins
	kmon.Stderr = kmon.Stdout
	failed := kmon.Run()
	code := strconv.Itoa(kmon.ProcessState.ExitCode())
	fmt.Printf("guest: trial %s: exit code %s (%v)\n", t.Name, code, failed)
	return os.WriteFile(path+codeEnding, []byte(code), 0o644)
}

// makeLoop makes the loop device, above a file on the disk that will be slow, if the
// trial reads it and it is not there yet.
func (t trial) makeLoop() error {
	const dir = "/tmp/below"
	if _, err := os.Stat(dir); err == nil || !slices.Contains(t.Fault, loopDevice) {
		return nil
	}
	err := errors.Join(os.Mkdir(dir, 0o755), awaitFile(belowDisk), awaitFile(loopDevice), unix.Mount(belowDisk, dir, "ext4", 0, ""))
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(make([]byte, diskBytes)); err != nil { // blocks of it own
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	device, err := os.OpenFile(loopDevice, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	return unix.IoctlLoopConfigure(int(device.Fd()), &unix.LoopConfig{Fd: uint32(file.Fd()), Size: 4096,
		Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_DIRECT_IO}})
}
