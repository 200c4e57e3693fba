// Package compare answers whether NEW is worse than BASE, for whom, and whether
// that is more than noise.
//
//  1. Run analyzes every recording of both sides by itself and keeps of it what
//     each service and edge did in each window of time.
//  2. Windows that were not recorded throughout, that lost too much, or in which
//     the load was still warming up are dropped, and counted.
//  3. The load is compared first: where the rate of the requests that enter
//     differs, latencies are judged only where that can't be the reason.
//  4. Every metric of every service and edge that both sides have is compared over
//     windows (one recording a side) or runs (several): a test, an interval, an
//     effect size. A correction over all of them keeps chance finds rare.
//  5. What identical runs differ by enters every p and interval: several runs a side
//     show it, runs of an unchanged system (Options.Noise) measure it. Of two single
//     recordings it is assumed, and more of it where halves of a recording differ.
//     CPU time is held against that of the other services in the same windows, for a
//     slower node makes all of them slower. A change must also be larger than the
//     minimum effect, and than twice that noise.
//  6. Everything becomes one plain value, a Result, which the reports render.
//
// Single requests are never the unit: they wait for each other, so that the same
// system recorded twice would differ "significantly".
//
// No change is said only where a change of the minimum effect would have been
// seen; else the answer is inconclusive, with the reason and the smallest change
// that would have been. A damaged or lossy recording is never no change. The same
// recordings and options give the same Result, byte for byte.
package compare
