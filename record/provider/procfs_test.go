package provider

import (
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

func TestParseStat(t *testing.T) {
	const rest = " S 7 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0 0 5 0 0 0 0 0"
	for _, test := range []struct{ text, comm string }{
		{"9 (nginx)" + rest, "nginx"},
		{"9 (a) R 1 (b))" + rest, "a) R 1 (b)"},
		{"9 (new\nline\x01\xff)" + rest, "new line �"},
		{"9 ()" + rest, ""},
	} {
		got, err := parseStat([]byte(test.text))
		if err != nil || got.comm != test.comm || got.parent != 7 || got.startTicks != 1234 || got.state != 'S' || got.flags != 4194560 {
			t.Errorf("%q: got %+v, %v", test.text, got, err)
		}
	}
	for _, text := range []string{"", "9", "9 )(", "9 (x)", "9 (x) S", "9 (x) S x" + rest[4:], strings.Replace("9 (x)"+rest, "1234", "-1", 1)} {
		if got, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q gives %+v", text, got)
		}
	}
}

func FuzzProcStat(f *testing.F) {
	f.Add([]byte("9 (a) R 1 (b)) S 7 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0 0 5 0 0 0 0 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"))
	f.Add([]byte("9 (x\xff\x00) Z"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseStat(text)
		if err == nil && (!fit(got.comm) || got.startTicks < 0) {
			t.Errorf("%q gives %+v", text, got)
		}
		args, line := commandLine(text)
		if !fit(line) || len(line) > 3*maxCmdline+3 {
			t.Errorf("%q gives the command line %q", text, line)
		}
		if name := executableName(got.comm, got.comm, args); !fit(name) {
			t.Errorf("%q gives the program %q", text, name)
		}
	})
}

// fit says whether a text may stand in a row.
func fit(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "", ""},
		{"only NULs", "\x00\x00", ""},
		{"arguments", "a\x00-b\x00c d\x00", "a -b c d"},
		{"an empty argument", "a\x00\x00b\x00", "a  b"},
		{"hostile", "a\n\x1b[31m\x00\xff\xfe\x00", "a  [31m �"},
		{"longest", strings.Repeat("x", maxCmdline), strings.Repeat("x", maxCmdline)},
		{"too long", strings.Repeat("x", maxCmdline+1), strings.Repeat("x", maxCmdline) + "…"},
		{"cut within a rune", strings.Repeat("x", maxCmdline-1) + "éé", strings.Repeat("x", maxCmdline-1) + "…"},
	} {
		if _, got := commandLine([]byte(test.text)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestHugeFiles: a file is not read beyond its limit, whatever its size.
func TestHugeFiles(t *testing.T) {
	root := fstest.MapFS{"big": {Data: []byte(strings.Repeat("0123456789", 100_000))}, "small": {Data: []byte("one\ntwo")}}
	f := &files{root: root}
	if text, err := f.read("big", 12_345); err != nil || len(text) != 12_345 || string(text[12_340:]) != "01234" {
		t.Errorf("got %d bytes, %v", len(text), err)
	}
	if text, err := f.read("big", maxState); err != nil || len(text) != 1_000_000 {
		t.Errorf("got %d bytes, %v", len(text), err)
	}
	if len(f.buf) > maxText {
		t.Errorf("a buffer of %d bytes is kept", len(f.buf))
	}
	if got := f.line("small"); got != "one" {
		t.Errorf("got %q", got)
	}
}

func TestExecutableName(t *testing.T) {
	for _, test := range []struct{ exe, args, want string }{
		{"/usr/sbin/nginx", "nginx: worker process", "nginx"},
		{"/usr/bin/old (deleted)", "old", "old"},
		{"", "x", "comm"},
		{"/memfd:runc_cloned:/proc/self/exe (deleted)", "runc init", "comm"},
		{"/usr/bin/python3.11", "python3 app.py", "app.py"},
		{"/usr/bin/python3.11", "/usr/bin/python3 -u -W ignore /srv/app.py --port 1", "app.py"},
		{"/usr/bin/python3.11", "python3 /usr/local/bin/gunicorn app:app", "gunicorn"},
		{"/usr/bin/python3.11", "python3 -m celery.worker -q", "celery.worker"},
		{"/usr/bin/python3.11", "python3 -c print(1)", "python3.11"},
		{"/usr/bin/python3.11", "python3", "python3.11"},
		{"/usr/bin/python3.11", "gunicorn:\x00", "gunicorn"},
		{"/usr/bin/java", "java -Xmx1g -jar /app/x.jar --a", "x.jar"},
		{"/usr/bin/java", "java -cp a.jar:b.jar -Dx=y org.apache.Main arg", "org.apache.Main"},
		{"/usr/bin/java", "java -m shop/com.shop.Main", "shop"},
		{"/usr/bin/java", "java -jar", "java"},
		{"/usr/bin/node", "node --require ./trace.js server.js", "server.js"},
		{"/usr/bin/node", "node -e 1", "node"},
		{"/usr/bin/ruby3.1", "ruby -I lib bin/puma", "puma"},
		{"/usr/bin/perl", "perl -w /opt/poll.pl", "poll.pl"},
		{"/usr/bin/php8.2", "php -f worker.php", "worker.php"},
		{"/bin/dash", "/bin/sh /etc/run.sh", "run.sh"},
		{"/bin/bash", "bash -c sleep", "bash"},
		{"/bin/bash", "-bash", "bash"},
		{"/bin/bash", "bash /dev/fd/3", "bash"},
		{"/bin/busybox", "httpd -f", "httpd"},
		{"/bin/busybox", "busybox httpd -f", "httpd"},
		{"/bin/busybox", "sh /start.sh", "start.sh"},
		{"/bin/busybox", "busybox", "busybox"},
	} {
		if got := executableName(test.exe, "comm", strings.Split(strings.TrimSuffix(test.args, "\x00"), " ")); got != test.want {
			t.Errorf("%s, %q: got %q, want %q", test.exe, test.args, got, test.want)
		}
	}
}

func TestWorkload(t *testing.T) {
	for pod, want := range map[string]string{
		"cart-7d9f8b6c5-x2x4z":            "cart",
		"payment-api-6c8d9f7b44-zz9x8":    "payment-api",
		"kube-proxy-mn4bq":                "kube-proxy",
		"mysql-0":                         "mysql",
		"kafka-broker-12":                 "kafka-broker",
		"backup-28412345-bx7kq":           "backup",
		"etcd-node7":                      "etcd",
		"kube-apiserver-node7":            "kube-apiserver",
		"redis":                           "redis",
		"redis-stock":                     "redis-stock", // not a random part: it has a vowel
		"my-service":                      "my-service",
		"x2x4z":                           "x2x4z",
		"-node7":                          "-node7",
		"aggregator-5d8c7b9f6-aeiou":      "aggregator-5d8c7b9f6-aeiou",
		"release-2024-7d9f8b6c5-x2x4z":    "release-2024",
		"a-very-long-name-cut-by-thg6vxl": "a-very-long-name-cut-by-thg6vxl",
	} {
		if got := workload(pod, "node7"); got != want {
			t.Errorf("%s: got %q, want %q", pod, got, want)
		}
	}
}

func TestContainerRefs(t *testing.T) {
	id, inner := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	const uid = "11111111-2222-3333-4444-555555555555"
	under := strings.ReplaceAll(uid, "-", "_")
	for _, test := range []struct {
		path string
		want []containerRef
	}{
		{"/", nil},
		{"/system.slice/nginx.service", nil},
		{"/system.slice/docker-" + id + ".scope", []containerRef{{id, "docker", ""}}},
		{"/docker/" + id, []containerRef{{id, "docker", ""}}},
		{"/../../docker/" + id + "/init", []containerRef{{id, "docker", ""}}},
		{"/kubepods.slice/kubepods-pod" + under + ".slice/cri-containerd-" + id + ".scope", []containerRef{{id, "containerd", uid}}},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + under + ".slice/crio-" + id + ".scope", []containerRef{{id, "cri-o", uid}}},
		{"/kubepods/burstable/pod" + uid + "/" + id, []containerRef{{id, "", uid}}},
		{"/system.slice/containerd.service/kubepods-pod" + under + ".slice:cri-containerd:" + id, []containerRef{{id, "containerd", uid}}},
		{"/machine.slice/libpod-" + id + ".scope/container", []containerRef{{id, "podman", ""}}},
		{"/machine.slice/libpod-conmon-" + id + ".scope", nil},
		{"/docker/" + id + "/kubelet/kubepods/pod" + uid + "/" + inner, []containerRef{{inner, "", uid}, {id, "docker", ""}}},
		{"/process_api/8d4627c009b4af91a9ede64793776bbe", nil},
	} {
		got := containerRefs(test.path)
		if len(got) != len(test.want) {
			t.Errorf("%s: got %+v, want %+v", test.path, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: got %+v, want %+v", test.path, got, test.want)
			}
		}
	}
}

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-3": 4, "0-1,4,6-7": 5, "": 0, "x": 0, "3-1": 0} {
		if got := countCPUs(list); got != want {
			t.Errorf("%q: got %d, want %d", list, got, want)
		}
	}
}

// Debian's redis-server is a symbolic link to redis-check-rdb, so the
// executable's own name misleads; comm and argv[0] both tell the one used.
func TestNameAProgramWasStartedBy(t *testing.T) {
	for _, test := range []struct{ exe, comm, args, want string }{
		{"/usr/bin/redis-check-rdb", "redis-server", "/usr/bin/redis-server 127.0.0.1:6379", "redis-server"},
		{"/usr/sbin/nginx", "nginx", "nginx: worker process", "nginx"},
		{"/opt/a-program-with-a-long-name-1.2", "a-program-with-", "a-program-with-a-long-name", "a-program-with-a-long-name"},
		{"/usr/bin/python3.11", "python3", "python3 /srv/app.py", "app.py"},
		{"/usr/bin/server", "worker-3", "/usr/bin/server", "server"}, // a thread's name says nothing
		{"/usr/bin/server", "server", "", "server"},
	} {
		if got := executableName(test.exe, test.comm, strings.Split(test.args, " ")); got != test.want {
			t.Errorf("%s as %s, %q: got %q, want %q", test.exe, test.comm, test.args, got, test.want)
		}
	}
}
