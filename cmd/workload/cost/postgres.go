package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// startPostgres makes a small database and drives it with selects by key over
// prepared statements, 8 connections. PostgreSQL refuses to run as root, so it
// runs as the user its package makes.
func startPostgres(ctx context.Context, dir string, port int, duration time.Duration) (*load, error) {
	binaries, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is sound
	if len(binaries) == 0 {
		return nil, errors.New("no /usr/lib/postgresql/*/bin: install PostgreSQL (Debian: postgresql)")
	}
	bin := binaries[len(binaries)-1]
	data, err := postgresDir(dir)
	if err != nil {
		return nil, err
	}
	as := []string{"--reuid=postgres", "--regid=postgres", "--clear-groups", "--"}
	initdb := exec.CommandContext(ctx, "setpriv", append(as, filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "--no-sync")...)
	initdb.Dir = data
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, output)
	}
	server, err := start(filepath.Join(dir, "server.log"), "setpriv", append(as, filepath.Join(bin, "postgres"), "-D", data, "-k", data,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-p", strconv.Itoa(port))...)
	if err != nil {
		return nil, err
	}
	to := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "postgres", "postgres"}
	seconds := strconv.Itoa(max(1, int(duration.Seconds())))
	return &load{server: server, parse: parsePgbench,
		ready: func() error {
			conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
			if err == nil {
				err = conn.Close()
			}
			return err
		},
		setup:   append([]string{"pgbench", "-i", "-q", "-s", "5"}, to...),
		command: append([]string{"pgbench", "-n", "-S", "-M", "prepared", "-c", "8", "-j", "1", "-T", seconds}, to...),
	}, nil
}

// postgresDir makes a directory that belongs to the user postgres, who may
// also pass through those above it.
func postgresDir(dir string) (string, error) {
	account, err := user.Lookup("postgres")
	if err != nil {
		return "", err
	}
	uid, err := strconv.Atoi(account.Uid)
	gid, err2 := strconv.Atoi(account.Gid)
	data := filepath.Join(dir, "data")
	return data, errors.Join(err, err2, os.Mkdir(data, 0o700), os.Chown(data, uid, gid),
		os.Chmod(dir, 0o711), os.Chmod(filepath.Dir(dir), 0o711))
}

var (
	pgbenchRate         = regexp.MustCompile(`tps = ([\d.]+)`)
	pgbenchTransactions = regexp.MustCompile(`transactions actually processed: (\d+)`)
)

// parsePgbench reads the summary of pgbench.
func parsePgbench(output string) (float64, int64, error) {
	return parseRateAndCount("pgbench", output, pgbenchRate, pgbenchTransactions)
}

// parseRateAndCount finds a rate and a count in what a generator wrote.
func parseRateAndCount(name, output string, rate, count *regexp.Regexp) (float64, int64, error) {
	perSecond, counted := rate.FindStringSubmatch(output), count.FindStringSubmatch(output)
	if perSecond == nil || counted == nil {
		return 0, 0, fmt.Errorf("%s wrote %q", name, output)
	}
	r, err := strconv.ParseFloat(perSecond[1], 64)
	n, err2 := strconv.ParseInt(counted[1], 10, 64)
	return r, n, errors.Join(err, err2)
}
