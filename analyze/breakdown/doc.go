// Package breakdown tells where the time of requests went: on a CPU, in the run
// queue, waiting for a lock, a disk, a time, or for a service that was asked.
//
// A Counter takes exchanges batch by batch. What the serving thread waited for
// stands in the row of a request (format.ExchangeAccounted). Which service it
// asked meanwhile does not: a Join, one for each capture, finds the requests that
// the calls of a process belong to. A call belongs to a request when it lies
// within no other request of the process, or else when no other one within which
// it lies was served by the thread that called. Every nanosecond of a request
// goes into exactly one part, what is not known into the part Unknown.
//
// Sums are kept by serving instance and latency: quantiles are known only at the
// end, and any range of latencies can be asked for then (Instance.Band). They merge
// exactly, in any order.
package breakdown
