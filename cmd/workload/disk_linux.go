package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// diskConfig says how much is read and written.
type diskConfig struct {
	path                  string
	reads, writes         int
	readBytes, writeBytes int
	flushes               int
}

// diskAlign is what positions, sizes and memory of direct IO are multiples of.
const diskAlign = 4096

// runDisk reads from and writes to a disk past the page cache, one IO at a
// time and none beside the one before, so that each is one request.
func runDisk(_ context.Context, out io.Writer, args []string) error {
	flags := newFlags("disk")
	var config diskConfig
	flags.StringVar(&config.path, "overwrite", "", "the file or disk to read and to write over, `PATH`; what it held is lost")
	flags.IntVar(&config.reads, "reads", 20, "IOs that read")
	flags.IntVar(&config.writes, "writes", 10, "IOs that write")
	flags.IntVar(&config.readBytes, "read-bytes", 4096, "bytes of a read, a multiple of 4096")
	flags.IntVar(&config.writeBytes, "write-bytes", 65536, "bytes of a write, a multiple of 4096")
	flags.IntVar(&config.flushes, "flushes", 1, "times to flush the disk's cache, at the end")
	if err := flags.parse(args); err != nil {
		return err
	}
	if config.path == "" || config.readBytes%diskAlign+config.writeBytes%diskAlign != 0 {
		return errors.New("workload disk: needs --overwrite PATH, and sizes that are multiples of 4096")
	}
	truth := &Truth{Load: "disk", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	disk, err := config.play()
	if err != nil {
		return fmt.Errorf("workload disk: %w", err)
	}
	truth.Disks, truth.EndUnixNs = []Disk{disk}, time.Now().UnixNano()
	return flags.finish(out, truth)
}

func (c diskConfig) play() (Disk, error) {
	file, err := os.OpenFile(c.path, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return Disk{}, err
	}
	defer file.Close()
	disk := Disk{Path: c.path, PID: os.Getpid()}
	memory, err := unix.Mmap(-1, 0, max(c.readBytes, c.writeBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return disk, err
	}
	defer unix.Munmap(memory) //nolint:errcheck // the process ends
	began, position := time.Now(), int64(0)
	for range c.reads {
		n, err := file.ReadAt(memory[:c.readBytes], position)
		if err != nil {
			return disk, err
		}
		position += int64(n) + diskAlign
		disk.Reads, disk.ReadBytes = disk.Reads+1, disk.ReadBytes+int64(n)
	}
	for range c.writes {
		n, err := file.WriteAt(memory[:c.writeBytes], position)
		if err != nil {
			return disk, err
		}
		position += int64(n) + diskAlign
		disk.Writes, disk.WriteBytes = disk.Writes+1, disk.WriteBytes+int64(n)
	}
	for range c.flushes {
		if err := file.Sync(); err != nil {
			return disk, err
		}
		disk.Flushes++
	}
	disk.TookNs = time.Since(began).Nanoseconds()
	return disk, nil
}
