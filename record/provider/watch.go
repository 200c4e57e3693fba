package provider

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"kmon/format"
)

// settleTime is how long the directory must be quiet before the file is read
// again: editors and Kubernetes replace a file in several steps.
const settleTime = 100 * time.Millisecond

// settleLimit ends the wait in a directory that is never quiet.
const settleLimit = time.Second

// Version is one version of the configuration file.
type Version struct {
	Number int32 // 1 is the file as it was when watching began
	Path   string
	Text   string
	Config *Config // nil when Err is set
	Err    error   // why this version cannot be used; the one before stays in force
}

// Row is the version as a row of snapshot config.
func (v Version) Row(tsNs int64) format.Config {
	row := format.Config{TsNs: tsNs, Version: v.Number, Path: v.Path, Text: strings.ToValidUTF8(v.Text, "\uFFFD")}
	if v.Err != nil {
		row.Error = v.Err.Error()
	}
	return row
}

// Watch reads the configuration file and delivers it as version 1, then every
// version whose text differs, good or bad, until ctx ends; then the channel is
// closed. It watches the directory, so a file that is replaced by renaming, or
// by the exchange of a symbolic link as in a Kubernetes ConfigMap, is seen. A
// file that vanishes is a bad version. The error is for a file that cannot be
// read or watched in the first place.
func Watch(ctx context.Context, path string) (<-chan Version, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		watcher.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	first := readVersion(path, 1)
	if first.Config == nil && first.Text == "" {
		watcher.Close()
		return nil, first.Err
	}
	versions := make(chan Version, 1)
	versions <- first
	w := &watch{path: path, last: first, watcher: watcher, versions: versions}
	go w.run(ctx)
	return versions, nil
}

type watch struct {
	path     string
	last     Version
	watcher  *fsnotify.Watcher
	versions chan<- Version
}

func (w *watch) run(ctx context.Context) {
	defer close(w.versions)
	defer w.watcher.Close()
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	var since time.Time // of the first event not yet acted upon
	wait := func() {
		if since.IsZero() {
			since = time.Now()
		}
		settled.Reset(min(settleTime, max(0, settleLimit-time.Since(since))))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.watcher.Events:
			if !ok {
				return
			}
			wait()
		case _, ok := <-w.watcher.Errors: // an overflow: events are missing, so read
			if !ok {
				return
			}
			wait()
		case <-settled.C:
			since = time.Time{}
			if !w.deliver(ctx) {
				return
			}
		}
	}
}

// deliver sends the file's version when it differs from the last one sent;
// false when ctx ended meanwhile.
func (w *watch) deliver(ctx context.Context) bool {
	v := readVersion(w.path, w.last.Number+1)
	if v.Text == w.last.Text && errText(v.Err) == errText(w.last.Err) {
		return true
	}
	select {
	case w.versions <- v:
		w.last = v
		return true
	case <-ctx.Done():
		return false
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// readVersion reads and parses the file.
func readVersion(path string, number int32) Version {
	v := Version{Number: number, Path: path}
	file, err := format.OpenRegular(path)
	if err != nil {
		v.Err = fmt.Errorf("read configuration: %w", err)
		return v
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		v.Err = fmt.Errorf("read configuration: %w", err)
		return v
	}
	v.Text = string(text)
	v.Config, v.Err = ParseConfig(path, text)
	return v
}
