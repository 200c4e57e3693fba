// Kmon records, with eBPF on a Linux node, which services talked to which over
// TCP and how fast each answered, and analyzes such captures on any system.
//
// Each verb has a file of its own that turns flags into the options of a
// library package and calls it; record, analyze, reports and format do the work.
// run is the whole program: standard streams and arguments in, exit code out.
//
// A recording is one file. What is in it, and whether it is sound:
//
//	$ kmon print shop.kmon
//	   120   exchanges
//	     2   sockets
//	     1   self
//	     2   processes
//	     1   listeners
//	$ kmon print shop.kmon exchanges -n 1
//	socket_id=1 start_ns=1000050000000 server_ns=2200000 request_bytes=120 answer_bytes=640 request_messages=1 answer_messages=1 pid=100 tid=100 flags=client
//
// A cut or damaged one gives what can be read, and says what is missing:
//
//	$ kmon repair running.kmon.part
//	running.kmon.part: there is no final.json: the recorder was killed, is still recording, or the file was cut; its last seconds and its summary are missing.
//	running.repaired.kmon: sound, 47 rows (exchanges, listeners, marks, processes, self, sockets)
//
// Errors are one line on standard error that names the file and the mend:
//
//	$ kmon info notes.kmon
//	2> kmon: notes.kmon: not a kmon capture (no entry can be read): record one with kmon record
//	[2]
//
// Conventions of all verbs: results go to standard output and everything else
// to standard error; colours and progress appear on terminals only and NO_COLOR
// turns colours off; "-" as an output is standard output; a closed pipe ends kmon
// quietly. Captures are never overwritten; reports are replaced when the new
// one is complete.
package main
