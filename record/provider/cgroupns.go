package provider

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxOwnSearch bounds the cgroups looked at to find the reader's own: a node has
// some hundreds.
const maxOwnSearch = 20_000

// above says whether a path leads out of the reader's cgroup namespace, as those
// of /proc do that lie beside it: "/../kubepods", cgroup_namespaces(7).
func above(cgroup string) bool { return cgroup == "/.." || strings.HasPrefix(cgroup, "/../") }

// astray says that paths are told from a place that was not found.
func (h hierarchy) astray() bool { return h.own == "" }

// placed finds where the reader's cgroup namespace begins. The mount of the
// whole hierarchy tells how deep: as "/../..".
func (h hierarchy) placed(f *files, ownPID int) hierarchy {
	h.own = "/"
	if !above(h.top) {
		return h
	}
	text, err := f.read("proc/self/cgroup", maxText)
	below := h.parseCgroup(string(text))[0] // of the namespace, told from its beginning
	h.own = ""
	if err != nil || ownPID == 0 || strings.Trim(strings.ReplaceAll(h.top, "..", ""), "/") != "" {
		return h
	}
	looked := 0
	if found, ok := h.search(f, "/", below, ownPID, strings.Count(h.top, "/.."), &looked); ok {
		h.own, h.top = found, "/"
	}
	return h
}

// search looks depth levels down for the cgroup with the reader in it, or in its
// descendant below.
func (h hierarchy) search(f *files, at, below string, ownPID, depth int, looked *int) (string, bool) {
	if *looked++; *looked > maxOwnSearch {
		return "", false
	}
	if depth == 0 {
		procs, err := f.read(path.Join(h.mount, at, below, "cgroup.procs"), maxMountinfo)
		return at, err == nil && slices.Contains(strings.Fields(string(procs)), strconv.Itoa(ownPID))
	}
	for _, name := range f.names(path.Join(h.mount, at)) {
		child := path.Join(at, name)
		if !exists(f.root, path.Join(h.mount, child, "cgroup.procs")) {
			continue // a file
		}
		if found, ok := h.search(f, child, below, ownPID, depth-1, looked); ok {
			return found, true
		}
	}
	return "", false
}

// absolute turns a path of /proc into one from the top of the hierarchy; "": from
// a place that is not known, and not by way of the top.
func (h hierarchy) absolute(cgroup string) string {
	if h.own != "" {
		return path.Join(h.own, cgroup)
	}
	if rest, ok := strings.CutPrefix(cgroup, h.top); ok && (rest == "" || rest[0] == '/') && !above(rest) {
		return path.Join("/", rest)
	}
	return ""
}
