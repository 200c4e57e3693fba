package record

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	slices.Sort(all)
	return all
}

func TestRingDirIsMadeAndRemoved(t *testing.T) {
	t.Chdir(t.TempDir())
	d, aside, err := openRingDir("shop.kmon", time.Now())
	if err != nil || aside != "" {
		t.Fatal(aside, err)
	}
	if info, err := os.Stat("shop.ring"); err != nil || info.Mode().Perm() != 0o700 || d.output() != "shop.ring/shop.kmon" {
		t.Errorf("%v, %v, parts as %s", info, err, d.output())
	}
	if _, _, err := openRingDir("shop.kmon", time.Now()); err == nil || err.Error() != "another recorder keeps its ring in shop.ring; name another file with -o" {
		t.Errorf("a second recorder: %v", err)
	}
	if err := d.removeAll(); err != nil {
		t.Error(err)
	}
	if left := names(t, "."); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

// The parts of a recorder that was killed are kept, and in nobody's way.
func TestRingDirOfAKilledRecorder(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(path string) {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("shop.ring", 0o700); err != nil {
		t.Fatal(err)
	}
	write("shop.ring/shop-000007.kmon")
	write("shop.ring/shop-000008.kmon.part")
	d, aside, err := openRingDir("shop.kmon", time.Unix(1e9, 0))
	if err != nil || aside != "shop-20010909T014640Z.ring" {
		t.Fatal(aside, err)
	}
	if got := names(t, aside); !slices.Equal(got, []string{"shop-000007.kmon", "shop-000008.kmon.part"}) {
		t.Errorf("kept are %v", got)
	}
	if got := names(t, "shop.ring"); len(got) > 0 {
		t.Errorf("the new ring begins with %v", got)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	write("shop.ring/shop-000007.kmon")
	if _, _, err := openRingDir("shop.kmon", time.Unix(1e9, 0)); err == nil {
		t.Error("what was kept is overwritten")
	}
	if got := names(t, aside); len(got) != 2 {
		t.Errorf("kept are %v", got)
	}
}

func TestRingDirThatIsNotOurs(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"a file":  {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "is no directory"},
		"a link":  {func(p string) error { return os.Symlink(".", p) }, "is no directory"},
		"open":    {func(p string) error { return os.Mkdir(p, 0o755) }, "is not this user's alone"},
		"another": {func(p string) error { return os.MkdirAll(filepath.Join(p, "photos"), 0o700) }, "holds photos, which is no part of a ring"},
		"other parts": {func(p string) error {
			return errors.Join(os.Mkdir(p, 0o700), os.WriteFile(filepath.Join(p, "cart-000001.kmon"), nil, 0o600))
		}, "holds cart-000001.kmon, which is no part of a ring"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := c.make("shop.ring"); err != nil {
				t.Fatal(err)
			}
			before := names(t, ".")
			if _, _, err := openRingDir("shop.kmon", time.Now()); err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) || !strings.Contains(err.Error(), "shop.ring") {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if after := names(t, "."); !slices.Equal(before, after) {
				t.Errorf("there were %v, now %v", before, after)
			}
		})
	}
}

// A dump that waits for its last part finds the others, however long that takes.
func TestPartsOfADumpStay(t *testing.T) {
	p := &parts{keepNs: 10e9, partBytes: 1 << 20}
	for second := range int64(20) {
		p.keep(partFile{number: int(second + 1), startNs: second * 1e9, endNs: (second + 1) * 1e9})
	}
	p.pinnedNs = 10e9 // the dump was asked for at 20 s
	if old := p.takeOld(35e9); len(old) != 9 || p.complete[0].endNs != 10e9 {
		t.Errorf("%d parts are removed, the oldest left is %+v", len(old), p.complete[0])
	}
	p.pinnedNs = 0
	if old := p.takeOld(35e9); len(old) != 11 {
		t.Errorf("then %d are removed, want all", len(old))
	}
}
