package record

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kmon/format"
	"kmon/record/provider"
)

// A look at /proc that never ends keeps neither the end of a recording nor a
// new configuration waiting.
func TestStuckProvider(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stuck.kmon")
	writer, err := format.Create(path, format.Manifest{}, format.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{writer: writer}
	r.newConfig, r.providerDone = make(chan *provider.Config, 1), make(chan struct{})
	for n := range int32(3) {
		if err := r.takeConfig(provider.Version{Number: n + 1, Config: &provider.Config{}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.waitForProvider(7, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := r.lastSnapshot(8); err != nil || len(r.warnings()) != 1 {
		t.Error(err, r.warnings())
	}
	if err := writer.Close(format.Final{}); err != nil {
		t.Fatal(err)
	}
	marks := all[format.Mark](t, opened(t, path))
	if last := marks[len(marks)-1]; last.Kind != "warning" || !strings.Contains(last.Text, "/proc") {
		t.Errorf("marks %+v", marks)
	}
}
