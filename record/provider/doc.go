// Package provider tells what kernel events do not say: which processes there
// are, which service each belongs to and how much memory it has, who listens
// where, which containers, network addresses, disks and mounts the node has.
// It takes a file system root (the host's / or a copy of it) and gives rows of
// package format.
//
//  1. [New] finds the cgroup hierarchy and keeps the [Options].
//  2. [Provider.Snapshot] scans /proc and the state that container runtimes
//     and the kubelet keep in files, and returns the rows that are new or have
//     changed since the last one.
//  3. [Provider.Exec] and [Provider.Exit] take the kernel's fork, exec and exit
//     events, so that a process that lives for milliseconds has a row too.
//  4. [Provider.SetConfig] puts another configuration in force, [Watch] finds
//     new versions of its file.
//  5. [Provider.Limits] reads, once a second, what came of the cgroups' limits of
//     CPU time and IO that Snapshot found.
//  6. [Provider.Targets] turns selectors into what the kernel's filter maps
//     hold: pids, cgroup ids, ports.
//
// Invariants: rows are sorted and their text is valid UTF-8 without control
// characters; what could not be read is "" or 0, never an error that ends a
// scan; memory is bounded by [MaxProcesses]; an exited process is forgotten.
// The package reads no environment of any process, enters no namespace, and
// asks no daemon: files only.
//
// Sources: proc(5), cgroups(7), and the state directories of containerd,
// CRI-O, Docker, podman and the kubelet, named where they are read.
package provider
