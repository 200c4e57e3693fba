package record

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kmon/format"
)

// TestNothingSecretIsRecorded: what processes send each other, have in their
// environment or are given as secrets is nowhere in a capture, though they are
// in it themselves: one that lives when the recording begins, and short-lived
// ones whose arguments come from the kernel.
func TestNothingSecretIsRecorded(t *testing.T) {
	requireBPF(t)
	const payload, environment, argument = "payload-6f1c", "environment-83aa", "argument-d07e"
	dir := t.TempDir()
	t.Setenv("KMON_TEST_PASSWORD", environment)
	lives := exec.Command("sh", "-c", "sleep 60; true", "kmon-lives", "--password="+argument)
	if err := lives.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lives.Process.Kill(); _ = lives.Wait() })
	port := echoPayload(t, payload)
	script := "for i in 1 2 3; do /bin/true kmon-brief --token " + argument + "; done; exec 3<>/dev/tcp/127.0.0.1/" + port +
		"; printf %s " + strings.Replace(payload, "-", "'-'", 1) + " >&3; read -r -N " + strconv.Itoa(len(payload)) + " x <&3; sleep 1; test \"$x\""
	result, err := Run(t.Context(), Options{Output: filepath.Join(dir, "x.kmon"), Command: []string{"bash", "-c", script}})
	if err != nil || result.ExitCode != 0 {
		t.Fatal(err, result.ExitCode)
	}
	c := opened(t, result.Path)
	seen := map[string]int{}
	for _, p := range all[format.Proc](t, c) {
		if strings.Contains(p.Cmdline, "kmon-brief --token ***") {
			seen["brief"]++
		}
	}
	for _, p := range all[format.Process](t, c) {
		if strings.Contains(p.Cmdline, "kmon-lives --password=***") {
			seen["lives"]++
		}
	}
	for _, e := range all[format.Exchange](t, c) {
		if e.RequestBytes == int64(len(payload)) && e.AnswerBytes == int64(len(payload)) {
			seen["exchange"]++
		}
	}
	if seen["brief"] < 3 || seen["lives"] == 0 || seen["exchange"] == 0 {
		t.Errorf("recorded: %v", seen)
	}
	everything := contents(t, c)
	for _, secret := range []string{payload, environment, argument} {
		if bytes.Contains(everything, []byte(secret)) {
			t.Errorf("%q is in the capture", secret)
		}
	}
	if !bytes.Contains(everything, []byte("kmon-brief")) {
		t.Error("the contents were not read")
	}
}

// echoPayload answers each connection with what it was sent, and returns its port.
func echoPayload(t *testing.T, payload string) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text := make([]byte, len(payload))
			if _, err := io.ReadFull(conn, text); err == nil {
				_, _ = conn.Write(text)
			}
			_, _ = io.Copy(io.Discard, conn) // until the other end closes
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// contents is all that a capture holds, as text and as it stands in the file.
func contents(t *testing.T, c *format.Capture) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, table := range c.Tables() {
		if err := format.Print(&all, c, table, format.PrintOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	all.Write(file)
	return all.Bytes()
}
