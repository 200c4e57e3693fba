package main

import "testing"

func TestIdle(t *testing.T) {
	truth := play(t, "idle", "--connections", "300", "--requests", "7")
	if len(truth.Services) != 1 || truth.Services[0].Connections != 300 || truth.Services[0].Requests != 7 || truth.Edges[0].Connections != 300 {
		t.Errorf("got %+v and %+v, want 300 connections and 7 requests", truth.Services, truth.Edges)
	}
}

func TestSpawn(t *testing.T) {
	if truth := play(t, "spawn", "--processes", "20"); truth.Spawned != 20 {
		t.Errorf("got %d processes, want 20", truth.Spawned)
	}
}
