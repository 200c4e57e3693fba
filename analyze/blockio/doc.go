// Package blockio adds up what was asked of the block devices.
//
//  1. A Tree says what the devices are: which partition lies on which disk,
//     which loop device or mapping on what, and what is mounted where.
//  2. An Accumulator takes rows of table ios of one capture, in any order, and
//     counts them by device, operation, size, user and window.
//  3. Partial.Merge adds one Partial to another. Merging is exact: the result
//     is that of all rows, whatever the order or the partition.
//  4. A Partial is the result: counts and sketches by device.
//
// An IO counts at the device its row names, in the window it was asked for.
// What a loop device or a mapping is asked for becomes IO of the device below,
// which has rows of its own, so sums over all devices count twice; Tree.Below
// tells where. IOs that had not ended when the recording did are only counted.
//
// Memory is bounded whatever a capture holds: maxUsed devices are told apart,
// the first in the capture, and window distributions are given up when
// they would outgrow maxWindowWords.
package blockio
