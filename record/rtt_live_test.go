package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// rttMode makes the test binary a process that speaks to itself over TCP, and
// writes what TCP_INFO says of both ends to the file that is its value.
const rttMode = "KMON_RECORD_TEST_RTT"

// rttTruth is what tcpi_rtt says just before the end.
type rttTruth struct {
	ClientPort, ServerPort         int32
	ClientMicros, ServerMicros     int64
	RefusedPort, RefusedRemotePort int32 // of a connection that never was
}

// speak is the process of rttMode.
func speak() {
	truth, err := roundTrips()
	if err == nil {
		err = writeTruth(os.Getenv(rttMode), truth)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func roundTrips() (truth rttTruth, err error) {
	listening, port, err := listener("")
	if err != nil {
		return truth, err
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return truth, err
	}
	if err := unix.Connect(client, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return truth, err
	}
	server, from, err := unix.Accept(listening)
	if err != nil {
		return truth, err
	}
	truth.ClientPort, truth.ServerPort = int32(from.(*unix.SockaddrInet4).Port), port
	buffer := make([]byte, 100)
	for range 50 {
		for _, ends := range [][2]int{{client, server}, {server, client}} {
			_, err1 := unix.Write(ends[0], buffer)
			_, err2 := unix.Read(ends[1], buffer)
			if err := errors.Join(err1, err2); err != nil {
				return truth, err
			}
		}
	}
	if truth.ClientMicros, err = abort(client); err != nil {
		return truth, err
	}
	if truth.ServerMicros, err = abort(server); err != nil {
		return truth, err
	}
	if err := unix.Close(listening); err != nil {
		return truth, err
	}
	return truth, refused(&truth)
}

// abort reads the smoothed round trip time and ends the connection at once: the
// answer to a FIN would be one more measurement.
func abort(fd int) (micros int64, err error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return int64(info.Rtt), errors.Join(err, unix.Close(fd))
}

// refused connects to where nobody listens any more.
func refused(truth *rttTruth) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	truth.RefusedPort, truth.RefusedRemotePort = int32(address.(*unix.SockaddrInet4).Port), truth.ServerPort
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(truth.ServerPort), Addr: [4]byte{127, 0, 0, 1}})
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("connect to a closed port: %w", err)
	}
	return unix.Close(fd)
}

// The smoothed round trip time of a connection is what TCP_INFO says of it; one
// that never was has none.
func TestRTTEqualsTCPInfo(t *testing.T) {
	requireBPF(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "truth.json")
	o := Options{Output: filepath.Join(t.TempDir(), "rtt.kmon"), Collectors: []string{"tcp"}, Command: []string{"env", rttMode + "=" + file, exe}}
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	truth := readTruth[rttTruth](t, file)
	r := readRecording(t, result)
	got := map[[2]int32]format.Socket{}
	for _, s := range all[format.Socket](t, r.capture) {
		if s.Event == format.SocketClose || s.Event == format.SocketConnectFailed {
			got[[2]int32{s.LocalPort, s.RemotePort}] = s
		}
	}
	client, server := got[[2]int32{truth.ClientPort, truth.ServerPort}], got[[2]int32{truth.ServerPort, truth.ClientPort}]
	if truth.ClientMicros == 0 || client.SRTTNs/1000 != truth.ClientMicros || server.SRTTNs/1000 != truth.ServerMicros {
		t.Errorf("got %d ns and %d ns, TCP_INFO says %+v", client.SRTTNs, server.SRTTNs, truth)
	}
	if failed := got[[2]int32{truth.RefusedPort, truth.RefusedRemotePort}]; failed.Event != format.SocketConnectFailed || failed.SRTTNs != 0 {
		t.Errorf("the refused connection is %+v", failed)
	}
}
