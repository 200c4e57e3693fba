package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// freePort gives a port that nothing listens on, so that the answers cannot be
// those of another server.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// load is a server, if the load has one, and the generator that drives it.
type load struct {
	name   string
	port   int      // 0: the load sends nothing over the network
	server *process // nil: the generator is all
	// ready says whether the server answers.
	ready func() error
	// command is one run of the generator.
	command []string
	// parse reads the generator's output: requests a second, requests.
	parse func(output string) (float64, int64, error)
	// served reads the server's own count of requests; its reading counts. nil:
	// the server keeps none.
	served func() (int64, error)
	// setup is a command to run once, when the server is ready; nil: none.
	setup []string
	// together is how many of the requests the server counts in one run come
	// in one write with the one before, and so are one request on the wire.
	together int64
}

// startLoad starts the server of a load and waits until it answers.
func startLoad(ctx context.Context, name, dir string, o options) (*load, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var l *load
	switch name {
	case "redis":
		l, err = startRedis(dir, port, o.requests)
	case "nginx":
		l, err = startNginx(dir, port, o.duration)
	case "nginx-close":
		l, err = startNginx(dir, port, o.duration, "-H", "Connection: close")
	case "pgbench":
		l, err = startPostgres(ctx, dir, port, o.duration)
	case pipeName:
		return pipeLoad(o.requests), nil
	default:
		return nil, errors.New("no such load: redis, nginx, nginx-close, pgbench and pipe there are")
	}
	if err != nil {
		return nil, err
	}
	l.name, l.port = name, port
	if l.ready == nil {
		l.ready = func() error { _, err := l.served(); return err }
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = l.ready(); err == nil && !l.server.ended() {
			return l, l.prepare(ctx)
		}
		if time.Now().After(deadline) || ctx.Err() != nil || l.server.ended() {
			l.server.stop() //nolint:errcheck // the error below counts
			return nil, fmt.Errorf("the server does not answer: %w; it says %q", err, l.server.output())
		}
	}
}

func startRedis(dir string, port, requests int) (*load, error) {
	server, err := start(filepath.Join(dir, "server.log"), "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", dir)
	if err != nil {
		return nil, err
	}
	// redis-benchmark begins with two questions for settings in one write.
	return &load{server: server, parse: parseRedis, together: 1,
		served:  func() (int64, error) { return redisServed(port) },
		command: []string{"redis-benchmark", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-c", "50", "-P", "1", "-n", strconv.Itoa(requests), "-t", "get", "--csv"}}, nil
}

// parseRedis reads the last line of redis-benchmark --csv: test, rps, …
func parseRedis(output string) (float64, int64, error) {
	rows, err := csv.NewReader(strings.NewReader(output)).ReadAll()
	if err != nil || len(rows) == 0 || len(rows[len(rows)-1]) < 2 {
		return 0, 0, fmt.Errorf("redis-benchmark wrote %q", output)
	}
	rate, err := strconv.ParseFloat(rows[len(rows)-1][1], 64)
	return rate, 0, err
}

// redisServed asks redis how many commands it has answered, this one not yet.
func redisServed(port int) (int64, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "INFO stats\r\n"); err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if count, ok := strings.CutPrefix(lines.Text(), "total_commands_processed:"); ok {
			return strconv.ParseInt(count, 10, 64)
		}
	}
	return 0, errors.New("INFO of redis has no total_commands_processed")
}

// nginxConfig is for one worker that serves one small file.
const nginxConfig = `daemon off;
worker_processes 1;
user root;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server {
    listen 127.0.0.1:%[2]d backlog=4096;
    location / { root %[1]s/www; }
    location = /status { stub_status; }
  }
}
`

func startNginx(dir string, port int, duration time.Duration, header ...string) (*load, error) {
	config := filepath.Join(dir, "nginx.conf")
	err := errors.Join(os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, port), 0o600), os.Mkdir(filepath.Join(dir, "www"), 0o700),
		os.WriteFile(filepath.Join(dir, "www", "f.txt"), []byte(strings.Repeat("x", 1024)), 0o600))
	if err != nil {
		return nil, err
	}
	server, err := start(filepath.Join(dir, "server.log"), "nginx", "-c", config, "-e", filepath.Join(dir, "start.log"))
	if err != nil {
		return nil, err
	}
	command := append([]string{"wrk", "-t1", "-c32", fmt.Sprintf("-d%ds", max(1, int(duration.Seconds())))}, header...)
	return &load{server: server, parse: parseWrk,
		served:  func() (int64, error) { return nginxServed(port) },
		command: append(command, fmt.Sprintf("http://127.0.0.1:%d/f.txt", port))}, nil
}

var (
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	nginxCounts = regexp.MustCompile(`accepts handled requests\s+\d+ \d+ (\d+)`)
)

// parseWrk reads the summary of wrk.
func parseWrk(output string) (float64, int64, error) {
	return parseRateAndCount("wrk", output, wrkRate, wrkRequests)
}

// nginxServed asks nginx how many requests it has taken before this one.
func nginxServed(port int) (int64, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/status", port))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	counts := nginxCounts.FindSubmatch(text)
	if counts == nil {
		return 0, fmt.Errorf("the status of nginx is %q", text)
	}
	n, err := strconv.ParseInt(string(counts[1]), 10, 64)
	return n - 1, err
}

// prepare runs the setup.
func (l *load) prepare(ctx context.Context) error {
	if l.setup == nil {
		return nil
	}
	if output, err := exec.CommandContext(ctx, l.setup[0], l.setup[1:]...).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w: %s", l.setup[0], err, output), l.stop())
	}
	return nil
}

// stop ends the server.
func (l *load) stop() error {
	if l.server == nil {
		return nil
	}
	return l.server.stop()
}

// count asks the server for its count, 0 when it keeps none.
func (l *load) count() (int64, error) {
	if l.served == nil {
		return 0, nil
	}
	return l.served()
}

// cpuTime is what the server has run, with children that have ended.
func (l *load) cpuTime() time.Duration {
	if l.server == nil {
		return 0
	}
	return cpuTime(l.server.pid()) + endedTime(l.server.pid())
}

// drive runs the generator once and gives its rate, its count of requests and
// the processor time it took.
func (l *load) drive(ctx context.Context) (rate float64, requests int64, cpu time.Duration, err error) {
	command := exec.CommandContext(ctx, l.command[0], l.command[1:]...)
	output, err := command.Output()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("%s: %w", l.command[0], err)
	}
	rate, requests, err = l.parse(string(output))
	return rate, requests, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), err
}
