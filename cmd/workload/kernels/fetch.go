package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// moduleNames are those that a guest's disks need, where they are not built
// into the kernel, each after those that it needs itself.
var moduleNames = []string{"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"}

// faultModules are those that faults of disks and links need.
var faultModules = []string{"loop", "veth", "sch_netem"}

const moduleEnding = ".ko"

// unpackedAs ends the names of directories of unpacked packages: of those that an
// older version of this program left, other files were kept.
const unpackedAs = "-faults"

// kernelFiles is what of a kernel's package is needed to boot it.
type kernelFiles struct {
	release string // as uname -r tells it
	image   string
	modules []string
	tools   []string // programs of this computer and their libraries
}

// fetch brings the package of a kernel and unpacks what is needed of it, which
// is kept in dir.
func (k kernel) fetch(ctx context.Context, dir string) (kernelFiles, error) {
	name, download := k.pinned.name, k.pinned.download
	if name == "" {
		apt, err := k.machine.aptOptions(ctx, dir)
		if err != nil {
			return kernelFiles{}, err
		}
		if name, err = k.newest(ctx, apt); err != nil {
			return kernelFiles{}, err
		}
		download = func(ctx context.Context, dir string) error {
			_, err := output(ctx, dir, "apt-get", append([]string{"download", "-q", name}, apt...)...)
			return err
		}
	}
	unpacked := filepath.Join(dir, name+unpackedAs)
	if _, err := os.Stat(unpacked); errors.Is(err, os.ErrNotExist) {
		if err := bring(ctx, download, unpacked); err != nil {
			return kernelFiles{}, fmt.Errorf("package %s: %w", name, err)
		}
	}
	files := kernelFiles{release: strings.TrimPrefix(name, "linux-image-"), image: filepath.Join(unpacked, "vmlinuz")}
	var err error
	if files.modules, err = filepath.Glob(filepath.Join(unpacked, "*"+moduleEnding)); err != nil {
		return kernelFiles{}, err
	}
	_, err = os.Stat(files.image)
	return files, err
}

// newest gives the package that the meta package of a kernel depends on, in
// the package sources of this machine. apt verifies what it downloads of them.
func (k kernel) newest(ctx context.Context, apt []string) (string, error) {
	text, err := output(ctx, ".", "apt-cache", append([]string{"depends", k.meta}, apt...)...)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		name, found := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if found && strings.HasPrefix(name, "linux-image-"+k.version()+".") {
			return name, nil
		}
	}
	return "", fmt.Errorf("the package sources have no kernel %s as %s: it is of Debian 12 with security updates, and lists come by apt-get update", k.version(), k.meta)
}

// bring downloads a package and unpacks it to a directory, which is there only
// if it is whole.
func bring(ctx context.Context, download func(context.Context, string) error, unpacked string) error {
	if err := os.MkdirAll(filepath.Dir(unpacked), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(unpacked), "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := download(ctx, work); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("%d packages were downloaded (%w)", len(packages), err)
	}
	files := filepath.Join(work, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	content, err := output(ctx, work, "dpkg-deb", "--fsys-tarfile", filepath.Base(packages[0]))
	if err != nil {
		return err
	}
	if err := unpack(ctx, tar.NewReader(strings.NewReader(content)), files); err != nil {
		return err
	}
	return os.Rename(files, unpacked)
}

// pinned is one package of a kernel that this machine's sources do not have.
type pinned struct {
	name   string
	urls   []string // where it may be
	sha256 string
}

// download fetches the package to a directory. The error is errGone if no
// address gives it.
func (p pinned) download(ctx context.Context, dir string) error {
	var failed error
	for _, url := range p.urls {
		content, err := get(ctx, url)
		if err == nil {
			if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sum != p.sha256 {
				return fmt.Errorf("%s has the checksum %s and not %s", url, sum, p.sha256)
			}
			return os.WriteFile(filepath.Join(dir, p.name+".deb"), content, 0o644)
		}
		failed = errors.Join(failed, err)
	}
	return fmt.Errorf("%w: %w", errGone, failed)
}

const downloadLimit = time.Minute

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 1<<30))
}

// unpack writes the kernel and those of its modules that are needed.
func unpack(ctx context.Context, archive *tar.Reader, dir string) error {
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		base := filepath.Base(header.Name)
		module, compressed := strings.CutSuffix(base, ".xz")
		switch {
		case strings.HasPrefix(base, "vmlinuz-"):
			module, compressed = "vmlinuz", false
		case !slices.Contains(slices.Concat(moduleNames, faultModules), strings.TrimSuffix(module, moduleEnding)):
			continue
		}
		content, err := io.ReadAll(archive)
		if err == nil && compressed {
			content, err = decompress(ctx, content)
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, module), content, 0o644)); err != nil {
			return err
		}
	}
}

// decompress undoes xz, which not every kernel can for itself.
func decompress(ctx context.Context, content []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "xz", "-dc")
	cmd.Stdin = bytes.NewReader(content)
	return cmd.Output()
}

// output runs a program in a directory and gives what it writes.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
