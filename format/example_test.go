package format_test

import (
	"fmt"
	"os"
	"path/filepath"

	"kmon/format"
)

// A capture is written by appending rows and ticking, and read by table.
func Example() {
	dir, err := os.MkdirTemp("", "kmon")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "node1.kmon")

	w, err := format.Create(path, format.Manifest{KmonVersion: "1.0.0"}, format.WriterOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := w.AppendExchanges([]format.Exchange{{SocketID: 7, StartNs: 1000, ServerNs: 250}}); err != nil {
		fmt.Println(err)
	}
	if err := format.Append(w, format.Mark{TsNs: 1200, Kind: "user", Text: "deployed"}); err != nil {
		fmt.Println(err)
	}
	if err := w.Close(format.Final{StopReason: "duration"}); err != nil {
		fmt.Println(err)
	}

	c, err := format.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if err := format.Print(os.Stdout, c, "", format.PrintOptions{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// exchanges socket_id=7 start_ns=1000 server_ns=250
	// marks ts_ns=1200 kind=user text=deployed
}
