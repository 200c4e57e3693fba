package main

import (
	"slices"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for _, family := range []string{"--ipv6=false", "--ipv6=true"} {
		truth := play(t, "paths", "--requests", "2", family)
		if got, want := len(truth.Sockets), 2*(len(paths())-len(truth.Notes)); got != want {
			t.Errorf("%s: %d sockets, want %d (notes %q)", family, got, want, truth.Notes)
		}
		for _, note := range truth.Notes {
			if !strings.Contains(note, "uring") { // the one path that machines commonly forbid
				t.Errorf("%s: %s", family, note)
			}
		}
		for i := 0; i+1 < len(truth.Sockets); i += 2 {
			client, server := truth.Sockets[i], truth.Sockets[i+1]
			at := slices.IndexFunc(paths(), func(p path) bool { return p.name == client.Path })
			if client.BytesSent != int64(2*(1000+at)) || client.BytesReceived != int64(2*(2000+at)) {
				t.Errorf("%s %s: client %+v", family, client.Path, client)
			}
			mirrored := Socket{Path: client.Path, Role: "server", LocalPort: client.RemotePort, RemotePort: client.LocalPort, Requests: 2,
				BytesSent: client.BytesReceived, BytesReceived: client.BytesSent,
				MessagesSent: server.MessagesSent, MessagesReceived: server.MessagesReceived}
			if server != mirrored || server.MessagesSent < 2 || server.MessagesReceived < 2 {
				t.Errorf("%s %s: server %+v, want %+v", family, client.Path, server, mirrored)
			}
		}
	}
}
