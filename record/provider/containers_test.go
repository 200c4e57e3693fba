package provider

import (
	"io/fs"
	"strings"
	"testing"
)

// TestContainerLater: a container whose state file appears after its process
// is named by a later scan, and its row returned again.
func TestContainerLater(t *testing.T) {
	n := readNode(t, "testdata/docker-compose.node")
	var file string
	for name := range n.root {
		if strings.HasPrefix(name, dockerRoot+"/containers/b1") {
			file = name
		}
	}
	state := n.root[file]
	delete(n.root, file)
	p := newProvider(t, n.root, "")
	if s := p.Snapshot(1); findService(s, 720) != "redis-server" {
		t.Fatalf("without its state: %q", findService(s, 720))
	}
	n.root[file] = state
	s := p.Snapshot(2)
	if findService(s, 720) != "cache" || len(s.Processes) != 1 || len(s.Containers) != 1 || s.Containers[0].Name != "cache" {
		t.Errorf("got %+v, %+v", s.Processes, s.Containers)
	}
	n.remove("proc/720")
	for range idleScans + 1 {
		p.Snapshot(3)
	}
	if len(p.containers.byID) != 6 {
		t.Errorf("%d containers are remembered after one ended, want 6", len(p.containers.byID))
	}
}

// TestInitContainer: a container that ran before the others of its pod counts
// only while it runs.
func TestInitContainer(t *testing.T) {
	n := readNode(t, "testdata/kubernetes-containerd.node")
	p := newProvider(t, n.root, "")
	if s := p.Snapshot(1); findService(s, 900) != "payment/pay" {
		t.Fatalf("with another container: %q", findService(s, 900))
	}
	n.remove("proc/910")
	if s := p.Snapshot(2); findService(s, 900) != "payment" || len(s.Processes) != 1 {
		t.Errorf("alone: %+v", s.Processes)
	}
}

func findService(s Snapshot, pid int32) string {
	for _, r := range s.Processes {
		if r.PID == pid {
			return r.Service
		}
	}
	return ""
}

// TestHostileState: state files that are not what they should be are passed over.
func TestHostileState(t *testing.T) {
	for _, text := range []string{"", "null", "[]", "{\"annotations\": 7}", "{", strings.Repeat("[", 100_000), "{\"Name\":\"/a\\u0000\\nb\\ud800\"}"} {
		n := readNode(t, "testdata/docker-compose.node")
		for name, f := range n.root {
			if strings.HasSuffix(name, ".json") && f.Mode&fs.ModeDir == 0 {
				f.Data = []byte(text)
			}
		}
		for _, r := range newProvider(t, n.root, "").Snapshot(1).Containers {
			if !fit(r.Name) || !fit(r.Service) || !fit(r.Image) {
				t.Errorf("%.40q gives %+v", text, r)
			}
		}
	}
}

// TestDockerDataRoot: dockerd's configuration may move its state.
func TestDockerDataRoot(t *testing.T) {
	n := readNode(t, "testdata/docker-compose.node")
	for name, f := range n.root {
		if rest, ok := strings.CutPrefix(name, dockerRoot+"/"); ok {
			n.root["data/docker/"+rest] = f
			delete(n.root, name)
		}
	}
	n.root[dockerConfig] = symlink("../../etc-docker.json")
	n.root["etc-docker.json"] = symlink("x") // a broken link is no configuration
	if got := findService(newProvider(t, n.root, "").Snapshot(1), 720); got != "redis-server" {
		t.Errorf("without the configuration: %q", got)
	}
	n.root[dockerConfig] = symlink("daemon.conf")
	n.root["etc/docker/daemon.conf"] = symlink("real.json")
	n.root["etc/docker/real.json"] = parseNode(t, "file x\n\t{\"data-root\":\"/data/docker/\"}\n").root["x"]
	if got := findService(newProvider(t, n.root, "").Snapshot(1), 720); got != "cache" {
		t.Errorf("got %q, want cache", got)
	}
}
