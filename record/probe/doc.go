// Package probe is the recorder's side of the eBPF programs: it asks the kernel
// what it offers ([ReadFacts]), plans which hook carries which indicator
// ([NewPlan], a pure function), loads the programs ([Load]), attaches them ([Session.Begin]), reads
// their ring buffers in place ([Ring]) and turns records into rows ([Decoder]).
// It alone knows both the kernel's records and the file's rows.
package probe
