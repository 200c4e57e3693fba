package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"kmon/analyze"
	"kmon/format"
)

// The tests of this file are the main job from end to end: real servers under
// real load, recorded with eBPF and analyzed, and the answer held against what
// server and load counted themselves. They need root; with CI set they fail
// without it, and without the servers.

// long leaves a test of many seconds out of short runs, as those of the race
// detector.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}

// need finds the programs a test drives.
func need(t *testing.T, programs ...string) {
	t.Helper()
	missing := ""
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing += " " + program
		}
	}
	if os.Geteuid() != 0 {
		missing += " root"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") != "":
		t.Fatalf("this test must run here and lacks:%s", missing)
	default:
		t.Skipf("lacks:%s", missing)
	}
}

// freePort is a loopback port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	return port
}

// serve starts a server, waits until it accepts, and ends it with the test.
func serve(t *testing.T, port string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	check(t, cmd.Start())
	t.Cleanup(func() {
		check(t, cmd.Process.Signal(syscall.SIGTERM))
		_ = cmd.Wait() // its status is not the test's concern
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("%s does not listen on port %s", args[0], port)
}

// connected matches the lines of /proc/net/tcp that are connections of the
// server on a port, accepted or not, that the server has not closed: a pattern
// for grep.
func connected(t *testing.T, port string) string {
	t.Helper()
	n, err := strconv.Atoi(port)
	check(t, err)
	return fmt.Sprintf(":%04X [0-9A-F]*:[0-9A-F]* 0[18] ", n)
}

// recordAndAnalyze does what the README tells users to do, after prepare. Nothing may be
// lost of what the tests hold against the truth; of what else the machine does, some may.
// A ring runs full where the machine leaves the recorder no time: then it records again,
// twice. One that is too slow for the load is so each time.
func recordAndAnalyze(t *testing.T, prepare func(), command ...string) (a analyze.Analysis, capture string) {
	t.Helper()
	for more := 2; ; more-- {
		prepare()
		a, capture = recordSomeLost(t, command...)
		missing := slices.DeleteFunc(slices.Clone(a.Losses), func(l analyze.Loss) bool {
			return l.Count == 0 || !slices.Contains([]string{"exchanges", "sockets", "procs"}, l.Table)
		})
		if len(missing) == 0 {
			return a, capture
		}
		late := !slices.ContainsFunc(missing, func(l analyze.Loss) bool { return l.Cause != format.LossRingFull.String() })
		if !late || more == 0 {
			t.Errorf("lost %+v", missing)
			return a, capture
		}
		t.Logf("the recorder came too late and lost %+v; again", missing)
	}
}

// lost is how many rows of a table kmon says that it lost.
func lost(a analyze.Analysis, table string) (n int64) {
	for _, l := range a.Losses {
		if l.Table == table {
			n += l.Count
		}
	}
	return n
}

// recordSomeLost is recordAndAnalyze for a load that comes so fast that a machine
// that does other things too may not keep up.
func recordSomeLost(t *testing.T, command ...string) (a analyze.Analysis, capture string) {
	t.Helper()
	dir := t.TempDir()
	capture = filepath.Join(dir, "x.kmon")
	report := filepath.Join(dir, "x.json")
	if _, stderr, code := kmon(append([]string{"record", "-o", capture, "--"}, command...)...); code != 0 {
		t.Fatalf("record ended with %d: %s", code, stderr)
	}
	if stdout, stderr, code := kmon("verify", capture); code != 0 {
		t.Errorf("verify ended with %d: %s%s", code, stdout, stderr)
	}
	_, stderr, code := kmon("analyze", capture, "-o", report)
	if code != codeOK && code != codeInconclusive {
		t.Fatalf("analyze ended with %d: %s", code, stderr)
	}
	check(t, json.Unmarshal(read(t, report), &a))
	if code == codeInconclusive && lost(a, "exchanges") == 0 {
		t.Errorf("analyze ended with %d, and no exchange was lost: %s", code, stderr)
	}
	return a, capture
}

func TestTruthOfRedis(t *testing.T) {
	need(t, "redis-server", "redis-benchmark", "redis-cli")
	port := freePort(t)
	serve(t, port, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	forget := func() { check(t, exec.Command("redis-cli", "-p", port, "config", "resetstat").Run()) }
	a, capture := recordAndAnalyze(t, forget, "redis-benchmark", "-h", "127.0.0.1", "-p", port, "-c", "50", "-n", "100000", "-t", "get", "-q")
	gets := redisGets(t, port)
	redis := service(t, a, "redis-server")
	// On a connection of its own redis-benchmark sends two CONFIG GETs in one
	// write: one request, or two when redis reads them apart.
	config := redis.Requests - gets
	if gets != 100000 || config != 1 && config != 2 {
		t.Errorf("redis-server: kmon counts %d requests, redis itself %d GETs and 2 others", redis.Requests, gets)
	}
	if redis.Latency.Count < gets || redis.Unanswered != 0 || redis.InFlight != 0 {
		t.Errorf("%d requests are timed of %d GETs, %d unanswered, %d in flight", redis.Latency.Count, gets, redis.Unanswered, redis.InFlight)
	}
	edge := edgeTo(t, a, "redis-benchmark", "redis-server")
	late, faster := interrupted(t, capture)
	if edge.Requests-edge.Matched > late || edge.Matched-edge.Network.Count > faster || edge.Ends != "both" {
		t.Errorf("%d of %d requests are matched at both ends (%s), %d with a network time; %d clients were interrupted while they sent, %d seem faster",
			edge.Matched, edge.Requests, edge.Ends, edge.Network.Count, late, faster)
	}
}

var cmdstatGet = regexp.MustCompile(`cmdstat_get:calls=(\d+),`)

// redisGets is how many GETs redis has answered.
func redisGets(t *testing.T, port string) int64 {
	t.Helper()
	out, err := exec.Command("redis-cli", "-p", port, "info", "commandstats").Output()
	check(t, err)
	match := cmdstatGet.FindSubmatch(out)
	if match == nil {
		t.Fatalf("redis does not tell its GETs: %s", out)
	}
	n, err := strconv.ParseInt(string(match[1]), 10, 64)
	check(t, err)
	return n
}

const nginxConfig = `daemon off; worker_processes 1; user root; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 512; }
http {
  access_log %[1]s/access.log; sendfile on; keepalive_requests 1000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen 127.0.0.1:%[2]s backlog=4096; root %[1]s; }
}`

func TestTruthOfNginx(t *testing.T) {
	need(t, "nginx", "wrk")
	for name, header := range map[string]string{"keep-alive": "X-Kept: yes", "a connection a request": "Connection: close"} {
		t.Run(name, func(t *testing.T) {
			dir, port := t.TempDir(), freePort(t)
			write(t, filepath.Join(dir, "file.txt"), make([]byte, 1024))
			config := filepath.Join(dir, "nginx.conf")
			write(t, config, fmt.Appendf(nil, nginxConfig, dir, port))
			serve(t, port, "nginx", "-c", config)
			check(t, os.Truncate(filepath.Join(dir, "access.log"), 0))
			// Until nginx has served what wrk leaves in flight, and closed. A machine may stand
			// still for the second of wrk's, which then has another.
			a, _ := recordSomeLost(t, "sh", "-c", `for try in 1 2 3; do
				wrk -t1 -c16 -d1s -H "$0" "$1"; while grep -q "$2" /proc/net/tcp; do sleep 0.01; done
				[ "$(wc -l <"$3")" -lt 100 ] || break; done`,
				header, "http://127.0.0.1:"+port+"/file.txt", connected(t, port), filepath.Join(dir, "access.log"))
			want := lines(t, filepath.Join(dir, "access.log"))
			lostRequests, lostSockets := lost(a, "exchanges"), lost(a, "sockets")
			if got := service(t, a, "nginx").Requests; got > want || got < want-lostRequests || want < 100 {
				t.Errorf("nginx: kmon counts %d requests and %d lost, its log has %d", got, lostRequests, want)
			}
			edge := edgeTo(t, a, "wrk", "nginx")
			if name == "keep-alive" && edge.Connections > 64 {
				t.Errorf("%d connections kept alive", edge.Connections)
			}
			if name != "keep-alive" && edge.Connections < want-lostSockets {
				t.Errorf("%d connections for %d requests, and %d rows of them lost", edge.Connections, want, lostSockets)
			}
		})
	}
}

func lines(t *testing.T, path string) (n int64) {
	t.Helper()
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		n++
	}
	check(t, scanner.Err())
	return n
}

func TestTruthOfTheShop(t *testing.T) {
	need(t, "go")
	_, workload := programs(t)
	truthPath := filepath.Join(t.TempDir(), "truth.json")
	a, capture := recordAndAnalyze(t, func() {}, workload, "shop", "-duration", "5s", "-rate", "200", "-truth", truthPath)
	var truth shopTruth
	check(t, json.Unmarshal(read(t, truthPath), &truth))
	late, _ := interrupted(t, capture)
	truth.compare(t, a, late, 0.03, 0.05)
}

// killRounds is how often TestKilledRecorders ends a recorder; KMON_KILLS
// raises it (the figure in the README is of 100).
const killRounds = 8

// A recorder ended by SIGKILL at any moment leaves a file from which all but
// the open segments can be read, and nothing in the kernel.
func TestKilledRecorders(t *testing.T) {
	long(t)
	need(t, "go")
	dir := t.TempDir()
	binary, workload := programs(t)
	rounds := killRounds
	if text := os.Getenv("KMON_KILLS"); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		check(t, err)
	}
	load := exec.Command(workload, "echo", "-requests", "100000000", "-connections", "4", "-limit", "1h") // the test ends it
	check(t, load.Start())
	t.Cleanup(func() {
		check(t, load.Process.Signal(syscall.SIGTERM))
		_ = load.Wait()
	})
	for round := range rounds {
		// Moments spread evenly over two seconds, once segments are being written. An open
		// segment holds a second; two more are for a busy machine. One that stood still for
		// longer is no recorder that keeps rows back: that does so each time.
		after := 2 * time.Second * time.Duration(round) / time.Duration(rounds)
		for try := range 3 {
			missing := killAndRead(t, binary, filepath.Join(dir, fmt.Sprint(round, "-", try)), after)
			if missing <= 3*time.Second {
				break
			}
			t.Logf("killed after %v: the last request read is %v older", after, missing)
			if try == 2 {
				t.Error("rows are kept back")
			}
		}
	}
}

// hasExchanges says whether a capture that is being written has exchanges yet.
func hasExchanges(part string) bool {
	c, err := format.Open(part)
	if err != nil {
		return false
	}
	defer c.Close()
	return len(c.Segments("exchanges")) > 0
}

// killAndRead kills a recorder so long after it wrote its first exchanges, and says how
// much older the last request is that can be read.
func killAndRead(t *testing.T, binary, name string, after time.Duration) (missing time.Duration) {
	t.Helper()
	capture := name + ".kmon"
	cmd := exec.Command(binary, "record", "-o", capture)
	check(t, cmd.Start())
	part := capture + partEnding
	for deadline := time.Now().Add(time.Minute); !hasExchanges(part); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no exchanges in %s after a minute", part)
		}
	}
	time.Sleep(after)
	killedNs := time.Now().UnixNano()
	check(t, cmd.Process.Kill())
	_ = cmd.Wait()
	report := name + ".json"
	if _, stderr, code := kmon("analyze", part, "-o", report); code != 0 {
		t.Fatalf("killed after %v: analyze ended with %d: %s", after, code, stderr)
	}
	var a analyze.Analysis
	check(t, json.Unmarshal(read(t, report), &a))
	served := service(t, a, "echo-server")
	if served.Requests == 0 {
		t.Errorf("killed after %v: nothing of the load was read", after)
	}
	lastNs := a.Captures[0].StartNs
	for _, p := range served.Series {
		if p.Requests > 0 {
			lastNs = p.StartNs
		}
	}
	return time.Duration(killedNs - lastNs)
}
