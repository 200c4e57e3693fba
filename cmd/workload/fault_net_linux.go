package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is a network namespace with a link to this one.
type network struct {
	name    string
	address string // of its end
}

// newNetwork makes the network of a server. It gives it even if it fails, to be
// removed.
func newNetwork(i int) (network, error) {
	n := network{name: fmt.Sprintf("workload-%d-%d", os.Getpid(), i), address: fmt.Sprintf("10.77.%d.2", i)}
	near := fmt.Sprintf("wl%d-%d", os.Getpid(), i)
	for _, line := range []string{
		"netns add " + n.name,
		"link add " + near + " type veth peer name eth0 netns " + n.name,
		fmt.Sprintf("addr add 10.77.%d.1/24 dev %s", i, near),
		"link set " + near + " up",
		"-n " + n.name + " addr add " + n.address + "/24 dev eth0",
		"-n " + n.name + " link set eth0 up",
	} {
		if err := command("ip " + line); err != nil {
			return n, fmt.Errorf("a network of its own: %w", err)
		}
	}
	return n, nil
}

// enter begins the command line of what is to run in the namespace.
func (n network) enter() []string { return []string{"ip", "netns", "exec", n.name} }

func (n network) remove() error { return command("ip netns del " + n.name) }

func command(line string) error {
	args := strings.Fields(line)
	cmd := exec.Command(args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// spoilLink delays what the subject sends, and loses some of it.
func spoilLink(s *stage) (bring, mend func() error, err error) {
	if len(s.networks) == 0 {
		return nil, nil, errors.New("there is no link to spoil")
	}
	link := "tc -n " + s.networks[s.scene.subject].name + " qdisc replace dev eth0 root "
	return func() error { return command(link + "netem delay 100ms 5ms loss 3%") },
		func() error { return nil }, // it goes with its namespace
		nil
}
