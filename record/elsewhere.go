package record

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// ErrElsewhere says that a recorder runs, where its socket cannot be reached.
var ErrElsewhere = errors.New("in another network namespace")

// elsewhere finds the recorders of other network namespaces, as far as this
// process may look into them; pid 0: all of them.
func elsewhere(pid int) []int {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil
	}
	seen := map[string]bool{own: true}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		dir := path.Join("/proc", entry.Name())
		space, err := os.Readlink(path.Join(dir, "ns/net"))
		if err != nil || seen[space] {
			continue
		}
		list, err := os.ReadFile(path.Join(dir, "net/unix"))
		if err != nil {
			continue // it has ended; another may be in its namespace
		}
		seen[space] = true
		for _, socket := range markSocketsIn(string(list)) {
			if pid == 0 || socket.pid == pid {
				pids = append(pids, socket.pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// elsewhereError says how recorders of other namespaces are reached; nil: there
// are none.
func elsewhereError(pids []int) error {
	if len(pids) == 0 {
		return nil
	}
	who := "process " + strings.Trim(strings.ReplaceAll(fmt.Sprint(pids), " ", ", "), "[]")
	return fmt.Errorf("%s records %w: run kmon there, with nsenter -t %d -n kmon ..., docker exec or kubectl exec", who, ErrElsewhere, pids[0])
}
