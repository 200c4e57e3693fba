// Package record makes a capture of the running machine.
//
//  1. [provider] lists what the kernel's events do not say: processes and their
//     services, listeners, containers, interfaces.
//  2. [probe] plans which hooks carry which indicator, loads the eBPF
//     programs and attaches them.
//  3. A single goroutine moves records from the ring buffers to the capture as
//     rows; the Provider works in another and hands its rows over.
//  4. [symbol] numbers stacks as they come and names them in a third goroutine:
//     those of processes once a second, the kernel's now and then.
//  5. Once a second it asks the kernel what was lost, lets it emit the exchanges
//     that have waited long enough, and notes what recording cost; over
//     Options.MaxOverhead it leaves out parts, a step at a time, and takes them
//     back when there is room.
//     With Options.Ring old parts of the recording go, triggers are held against
//     what was recorded, and what the ring keeps is joined into a capture, in a
//     goroutine of its own, whenever that is asked for.
//  6. With [Rotation] it ends one file and begins another now and then, while the
//     programs go on: the sums over time are closed, and what else belongs to the
//     file before still goes there, until it is closed in the background.
//  7. At the end it detaches, empties the kernel's state and the rings, and
//     closes the file.
//
// It runs on Linux, as root or with the capabilities to load eBPF programs.
package record
