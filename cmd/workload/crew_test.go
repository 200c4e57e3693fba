package main

import (
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// TestCrewBesideForks: a copy of the program can be executed at once, also
// while other processes are forked.
func TestCrewBesideForks(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var forks sync.WaitGroup
	for range 4 {
		forks.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					exec.Command(self, "-test.run=^$").Run() //nolint:errcheck // what it says is of no interest
				}
			}
		})
	}
	defer forks.Wait()
	defer close(done)
	for range 30 {
		crew, err := newCrew(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = crew.serve("echo", "echo-server", echoConfig{})
		crew.close()
		if err != nil {
			t.Fatal(err)
		}
	}
}
