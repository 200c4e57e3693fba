package provider

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const fullConfig = `# all keys
targets:
  pids: [1, 200]
  services: [cart, "payment/envoy"]
  cgroups: [/system.slice/nginx.service]
  ports: [80, 65535]
rules:
  - service: checkout
    match: {exe: "/srv/*", cmdline: "--role[= ]checkout", comm: "check*", cgroup: "/kube*", port: 8080, container: c, pod: "p-*", unit: "u?.service"}
  - service: rest
    match: {exe: nginx}
collectors: [tcp, proc]
`

func TestParseConfig(t *testing.T) {
	c, err := ParseConfig("c.yaml", []byte(fullConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := Selectors{PIDs: []int32{1, 200}, Services: []string{"cart", "payment/envoy"}, Cgroups: []string{"/system.slice/nginx.service"}, Ports: []uint16{80, 65535}}
	if !reflect.DeepEqual(c.Targets, want) || len(c.Rules) != 2 || c.Rules[0].Match.Port != 8080 || len(c.Collectors) != 2 {
		t.Errorf("got %+v", c)
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "{}"} {
		if c, err := ParseConfig("c.yaml", []byte(text)); err != nil || !c.Targets.Empty() || len(c.Rules) != 0 {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"target:\n  pids: [1]\n", `c.yaml:1: unknown key "target", did you mean "targets"?`},
		{"targets:\n  pids: [1]\n  prots: [80]\n", `c.yaml:3: unknown key "prots", did you mean "ports"?`},
		{"rules:\n- service: a\n  match:\n    executable: x\n", `c.yaml:4: unknown key "executable", did you mean`},
		{"thresholds: {p99: 1}\n", `c.yaml:1: unknown key "thresholds"`},
		{"targets:\n  pids: [1]\n  pids: [2]\n", `c.yaml:3: `},
		{"targets:\n  pids: [one]\n", `c.yaml:2: `},
		{"targets:\n  pids:\n  - 4\n  - -4\n", `c.yaml:4: -4 is not a process id`},
		{"targets:\n  ports: [70000]\n", `c.yaml:2: `},
		{"targets:\n  ports: [0]\n", `c.yaml:2: 0 is not a port`},
		{"targets:\n  services: ['']\n", `c.yaml:2: a service name is empty`},
		{"targets:\n  cgroups: ['']\n", `c.yaml:2: a cgroup path is empty`},
		{"collectors:\n- tcp\n- cup\n", `c.yaml:3: no collector "cup", did you mean "cpu"? Collectors are block, cpu, drop, proc`},
		{"rules:\n- match: {exe: a}\n", `c.yaml:2: a rule needs a service name`},
		{"rules:\n- service: a\n", `c.yaml:2: the rule matches nothing in particular`},
		{"rules:\n- service: a\n  match: {exe: a}\n- service: b\n  match:\n    cmdline: '('\n", `c.yaml:6: cmdline is not a regular expression`},
		{"a: 1\n---\nb: 1\n", `c.yaml: holds 2 YAML documents`},
		{"targets: [\n", `c.yaml:1: `},
		{"- 1\n", `c.yaml:1: `},
		{strings.Repeat("#", maxConfig+1), `c.yaml: has 1048577 bytes, at most 1048576 are allowed`},
	} {
		_, err := ParseConfig("c.yaml", []byte(test.text))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%.60q:\n got %v\nwant %s", test.text, err, test.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: the error has several lines: %v", test.text, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(fullConfig))
	f.Add([]byte("rules: [{service: a, match: {cmdline: '(?i)x', exe: '*?\\'}}]"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig("c.yaml", text)
		if (c == nil) == (err == nil) {
			t.Fatalf("%q gives %v and %v", text, c, err)
		}
		c.rule(facts{exe: "/bin/x", cmdline: "x -y", ports: []uint16{80}}) // must not panic, nor on nil
	})
}

func TestRules(t *testing.T) {
	all := facts{exe: "/srv/bin/app", cmdline: "app --role=checkout", comm: "app", cgroup: "/kubepods/x", container: "main", pod: "cart-1",
		unit: "cart.service", ports: []uint16{80, 8080}}
	for _, test := range []struct {
		match string
		want  bool
	}{
		{"{exe: app}", true},
		{"{exe: 'a?p'}", true},
		{"{exe: '/srv/*'}", true},
		{"{exe: '/srv'}", false},
		{"{exe: 'ap'}", false},
		{"{exe: 'a.p'}", false},
		{"{cmdline: 'role=check'}", true},
		{"{cmdline: '^--role'}", false},
		{"{comm: 'a*'}", true},
		{"{cgroup: '/kubepods*'}", true},
		{"{cgroup: 'kubepods*'}", false},
		{"{container: main, pod: 'cart-*', unit: '*.service'}", true},
		{"{container: side, pod: 'cart-*'}", false},
		{"{port: 8080}", true},
		{"{port: 81}", false},
		{"{exe: app, port: 81}", false},
	} {
		c, err := ParseConfig("c.yaml", []byte("rules: [{service: s, match: "+test.match+"}, {service: last, match: {exe: '*'}}]"))
		if err != nil {
			t.Fatal(err)
		}
		want := "last"
		if test.want {
			want = "s"
		}
		if got := c.rule(all); got == nil || got.Service != want {
			t.Errorf("%s: got %+v, want %s", test.match, got, want)
		}
	}
}

// next waits for a version of the file.
func next(t *testing.T, versions <-chan Version) Version {
	t.Helper()
	select {
	case v, ok := <-versions:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return v
	case <-time.After(2 * time.Minute):
		t.Fatal("no version within two minutes")
	}
	return Version{}
}

// write makes a file, or writes over one that is not longer: then nobody finds it
// empty meanwhile.
func write(t *testing.T, name, text string) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kmon.yaml")
	write(t, file, "collectors: [tcp]\n")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	versions, err := Watch(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	if v := next(t, versions); v.Number != 1 || v.Err != nil || v.Text != "collectors: [tcp]\n" || len(v.Config.Collectors) != 1 {
		t.Errorf("first version: %+v", v)
	}
	write(t, file, "collectors: [tpc]\n")
	if v := next(t, versions); v.Number != 2 || v.Err == nil || v.Config != nil || !strings.Contains(v.Row(5).Error, "did you mean") {
		t.Errorf("a bad version: %+v", v)
	}
	write(t, file+".new", "collectors: [proc]\n") // as editors do
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	if v := next(t, versions); v.Number != 3 || v.Err != nil || v.Config.Collectors[0] != "proc" || v.Row(5).Text != "collectors: [proc]\n" {
		t.Errorf("replaced by renaming: %+v", v)
	}
	write(t, file, "collectors: [proc]\n") // the same text is no new version
	write(t, filepath.Join(filepath.Dir(file), "other"), "x")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if v := next(t, versions); v.Number != 4 || v.Err == nil || v.Text != "" {
		t.Errorf("after its removal: %+v", v)
	}
	cancel()
	for range versions { // closed when the context has ended
	}
	if _, err := Watch(context.Background(), file); err == nil {
		t.Error("a file that is not there is watched")
	}
}

// TestWatchConfigMap: the kubelet swaps a symbolic link to a directory.
func TestWatchConfigMap(t *testing.T) {
	dir := t.TempDir()
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	for name, text := range map[string]string{"..v1": "collectors: [tcp]", "..v2": "collectors: [proc]"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "kmon.yaml"), text)
	}
	link("..v1", "..data")
	link("..data/kmon.yaml", "kmon.yaml")
	versions, err := Watch(t.Context(), filepath.Join(dir, "kmon.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	next(t, versions)
	link("..v2", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if v := next(t, versions); v.Number != 2 || v.Config == nil || v.Config.Collectors[0] != "proc" {
		t.Errorf("got %+v", v)
	}
}
