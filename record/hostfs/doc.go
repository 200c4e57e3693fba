// Package hostfs finds the root directory of the host that is recorded, and
// gives what a recorder may read below it.
//
// The kernel's events name processes of the whole machine by the numbers that
// its first pid namespace gives them, and paths as the processes see them. On
// the host itself /proc and / go with that. In a container they may be the
// container's own, and what is read there would be wrong: other processes under
// the same numbers, another system's name, disks' mounts of nobody.
//
//  1. [Find] takes the directory that the user named, or looks for it: / on
//     the host; the root of the machine's first process, which a container with
//     the host's pids can see; /host, where containers usually have it mounted.
//  2. [Root] says what of it is the host's.
//  3. [Root.FS] shows that, and nothing else: a process or a file that is not
//     the host's is not there, for no name is better than a wrong one.
//
// Invariants: symbolic links below a Root that is not / lead nowhere outside of
// it, absolute ones too. Nothing is entered, mounted or changed.
//
// Sources: pid_namespaces(7), proc_pid_root(5), openat2(2).
package hostfs
