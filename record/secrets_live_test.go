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

	"github.com/klauspost/compress/zstd"

	"kmon/format"
	"kmon/record/probe"
)

// TestNothingSecretIsRecorded: what processes send each other, have in files or
// in their environment or are given as secrets is nowhere in a capture of all
// collectors, though they are in it themselves: one that lives when the recording
// begins, and short-lived ones whose arguments come from the kernel.
func TestNothingSecretIsRecorded(t *testing.T) {
	requireBPF(t)
	const payload, environment, argument, content = "payload-6f1c", "environment-83aa", "argument-d07e", "content-5b21"
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	if err := os.WriteFile(secrets, []byte(strings.Repeat(content+"\n", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KMON_TEST_PASSWORD", environment)
	lives := exec.Command("sh", "-c", "sleep 60; true", "kmon-lives", "--password="+argument)
	if err := lives.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lives.Process.Kill(); _ = lives.Wait() })
	port := echoPayload(t, payload)
	script := "for i in 1 2 3; do /bin/true kmon-brief --token " + argument + "; done; exec 3<>/dev/tcp/127.0.0.1/" + port +
		"; printf %s " + strings.Replace(payload, "-", "'-'", 1) + " >&3; read -r -N " + strconv.Itoa(len(payload)) + " x <&3" +
		"; dd if=" + secrets + " of=" + secrets + ".copy bs=1M conv=fsync 2>/dev/null; while read -r line; do :; done <" + secrets + "; sleep 1; test \"$x\""
	result, err := Run(t.Context(), Options{Output: filepath.Join(dir, "x.kmon"), Collectors: probe.Collectors(), Command: []string{"bash", "-c", script}})
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
	for _, e := range all[format.Syscall](t, c) {
		if e.Name == "read" && e.Count > 0 {
			seen["reads"]++
		}
	}
	if seen["brief"] < 3 || seen["lives"] == 0 || seen["exchange"] == 0 || seen["reads"] == 0 {
		t.Errorf("recorded: %v", seen)
	}
	file, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	for what, all := range map[string][]byte{"rows": decoded(t, c), "pages": decompressed(t, file), "file": file} {
		for _, secret := range []string{payload, environment, argument, content} {
			if at := bytes.Index(all, []byte(secret)); at >= 0 {
				t.Errorf("%s: %q is in the capture: %.200q", what, secret, all[max(0, at-100):])
			}
		}
		if what != "file" && !bytes.Contains(all, []byte("kmon-brief")) {
			t.Errorf("the %s were not read", what)
		}
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

// decoded is all that a reader gets from a capture.
func decoded(t *testing.T, c *format.Capture) []byte {
	t.Helper()
	var all bytes.Buffer
	if err := format.Print(&all, c, "", format.PrintOptions{Format: format.PrintNDJSON}); err != nil {
		t.Fatal(err)
	}
	if err := format.WriteText(&all, c); err != nil { // with manifest and summary
		t.Fatal(err)
	}
	return all.Bytes()
}

// decompressed is what the pages of a capture hold, found by how compressed
// data begin, wherever they stand: also what no reader looks at.
func decompressed(t *testing.T, file []byte) []byte {
	t.Helper()
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	var all []byte
	for magic := []byte{0x28, 0xb5, 0x2f, 0xfd}; ; file = file[len(magic):] {
		at := bytes.Index(file, magic)
		if at < 0 {
			return all
		}
		file = file[at:]
		if err := decoder.Reset(bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(decoder) // the error is that of what follows the page
		all = append(all, page...)
	}
}
