package main

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// monitor answers like qemu's monitor on a socket, and gives what it was asked.
func monitor(t *testing.T, answer string) (socket string, asked chan string) {
	t.Helper()
	socket, asked = filepath.Join(t.TempDir(), "qmp"), make(chan string, 10)
	listener, err := net.Listen("unix", socket)
	check(t, err)
	t.Cleanup(func() { listener.Close() }) //nolint:errcheck // the test is over
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintln(conn, `{"QMP": {"version": {}}}`)
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			asked <- lines.Text()
			if strings.Contains(lines.Text(), "qmp_capabilities") {
				fmt.Fprintln(conn, `{"return": {}}`)
				continue
			}
			fmt.Fprintln(conn, `{"event": "STOP"}`) // comes unasked
			fmt.Fprintln(conn, answer)
		}
	}()
	return socket, asked
}

func TestThrottleDisk(t *testing.T) {
	socket, asked := monitor(t, `{"return": {}}`)
	check(t, throttleDisk(socket, "peer0", 6))
	<-asked
	if got := <-asked; !strings.Contains(got, `"device":"peer0"`) || !strings.Contains(got, `"iops":6`) {
		t.Errorf("asked %s", got)
	}
	for answer, want := range map[string]string{`{"error": {"desc": "no such device"}}`: "no such device", "nonsense": "invalid"} {
		socket, _ := monitor(t, answer)
		if err := throttleDisk(socket, "x", 6); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", answer, err, want)
		}
	}
	if err := readQMP(bufio.NewReader(strings.NewReader(""))); err == nil {
		t.Error("a monitor that is gone has answered")
	}
}

// A directory comes before what is in it, and once.
func TestDirectoriesOfAnInitramfs(t *testing.T) {
	var out strings.Builder
	c := &cpio{w: &out}
	c.makeDirs("/usr/sbin")
	c.makeDirs("/usr/lib")
	check(t, c.close())
	var names []string
	for _, word := range strings.FieldsFunc(out.String(), func(r rune) bool { return r == 0 }) {
		if _, name, ok := strings.Cut(word, "00000000usr"); ok { // behind the header's checksum
			names = append(names, "usr"+name)
		}
	}
	if want := []string{"usr", "usr/sbin", "usr/lib"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
