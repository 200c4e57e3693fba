package format

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secret is what a redacted copy may hold nowhere. It is no word: what looks like
// one of the kernel's or kmon's stays.
const secret = "s§cret"

// FuzzRedact holds that of no manifest, summary and segment of any table, with
// right checksums, a secret remains, and that all of the copy can be read.
func FuzzRedact(f *testing.F) {
	path, _ := writeNamedAs(f, secret, 3)
	c := open(f, path)
	manifest, err := c.readJSON(manifestName)
	must(f, err)
	final := []byte(`{"end_ns":5000000000,"stop_reason":"s§cret","error":"s§cret","rows":{"s§cret":1},"losses":{"s§cret/s§cret":1}}`)
	for number, table := range tables {
		for _, s := range c.Segments(table.name) {
			data, err := c.readEntry(s.entry, nil)
			must(f, err)
			f.Add(uint8(number), data, manifest, final)
		}
	}
	dst := filepath.Join(f.TempDir(), "redacted.kmon")
	f.Fuzz(func(t *testing.T, number uint8, segment, manifest, final []byte) {
		table := tables[int(number)%len(tables)]
		z := new(buildZip).add(manifestName, manifest).add(table.dir+"/"+table.name+"/000001.parquet", segment).add(finalName, final)
		c, err := openBytes(z.bytes())
		if err != nil {
			refusedInOrder(t, err)
			return
		}
		_, err = Redact(t.Context(), dst, c, RedactOptions{Key: testKey, NoSync: true})
		must(t, err)
		if all := allBytes(t, dst); bytes.Contains(all, []byte(secret)) {
			at := bytes.Index(all, []byte(secret))
			t.Errorf("a secret is left: %q", all[max(0, at-50):min(len(all), at+50)])
		}
		must(t, os.Remove(dst))
	})
}

// FuzzRedactTexts holds that a secret goes, whatever stands around it, from texts of
// every class, functions of every kind and all of a manifest, and that what becomes
// of it is no longer than a path of such texts.
func FuzzRedactTexts(f *testing.F) {
	for _, around := range [][2]string{{}, {"GC Thread", ""}, {"JIT", "1"}, {"kworker/", ":1"}, {"::1%", ""}, {"fe80::1%", ""}, {"10.0.0.1/", ""}, {"/usr/lib/", "/libc.so.6"},
		{"[", "]"}, {"runtime.", ""}, {"libnss_", ".so.2"}, {"not asked for (-e ", ")"}, {"kernel", ""}, {"bpf_prog_", ""}, {"", "\xff"}} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		text := before + secret + after
		gone := func(what, got string) {
			if strings.Contains(got, secret) {
				t.Errorf("of %s %q becomes %q", what, text, got)
			}
			if len(got) > 64+16*len(text) {
				t.Errorf("of %s %d bytes become %d", what, len(text), len(got))
			}
		}
		m := mask{pseudonyms: newPseudonyms(testKey)}
		for _, class := range append(slices.Clone(textClasses), textWord, textThread, textProgram) {
			gone(class, m.text(class, text))
		}
		r := &redactor{mask: m, from: &Capture{Manifest: secretManifest(text), Final: &Final{StopReason: text, Error: text, Losses: map[string]int64{text: 1}}}, leftOut: []string{text}}
		for _, kind := range []FrameKind{FrameKernel, FrameUser} {
			for _, module := range []string{"kernel", "bpf", "/usr/lib/libc.so.6", "[vdso]", text} {
				for _, c := range tableNamed("frames").textColumns() {
					frame := &Frame{Kind: kind, Symbol: text, Module: module, BuildID: text}
					if value := *textField(frame, c.column); value != "" {
						gone(c.name, r.change(frame, c, value))
					}
				}
			}
		}
		manifest, err := json.Marshal(r.manifest())
		must(t, err)
		final, err := json.Marshal(r.final())
		must(t, err)
		if strings.Contains(string(manifest)+string(final), secret) {
			t.Errorf("of %q is left in %s %s", text, manifest, final)
		}
	})
}

// secretManifest has a text wherever a text may stand.
func secretManifest(text string) Manifest {
	facts := map[string]string{text: text, "mptcp": text}
	return Manifest{
		KmonVersion: text, CommandLine: []string{"kmon", text}, Synthetic: text,
		Options:    map[string]string{text: text, "duration": text, "host_root": text, "variant.x": text},
		Host:       Host{Name: text, MachineID: text, BootID: text, OS: text, Kernel: text, Arch: text, CgroupHierarchy: text},
		Collectors: []Collector{{Name: text, Variants: facts, Missing: facts, Settings: facts}},
		Recording:  &RecordingPart{ID: text, Part: 1},
		Cut:        &CutFacts{SHA256: text},
	}
}
