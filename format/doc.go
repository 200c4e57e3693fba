// Package format writes and reads captures: the .kmon files that hold one
// recording. FORMAT.md describes the file for people who bring other tools.
//
// Writing, in order:
//
//  1. Create opens NAME.part and writes manifest.json and README.txt.
//  2. Append and AppendExchanges copy rows into a batch per table.
//  3. Full batches go through a bounded queue to one encoder goroutine, which
//     turns them into Parquet columns and closes a segment by rows, size or age.
//  4. Each segment is one stored ZIP entry. Entry, central directory and end
//     record go out in one write, so that the file is a valid ZIP after each.
//  5. Close writes final.json and gives the file its name, never overwriting.
//
// Reading, in order:
//
//  1. Open lists the segments: from the central directory when it is sound,
//     else by scanning the local headers, as far as they go.
//  2. ReadRows, All and Segment.ReadExchanges check the CRC of an entry, then
//     decode its columns. What is damaged becomes a Problem, not an abort.
//  3. Verify checks everything a reader relies on. Repair writes what can be
//     read into a new capture.
//
// A capture is hostile input. Only what a Writer produces is accepted: stored
// entries, flat tables of required INT32, INT64 and BYTE_ARRAY columns, zstd or
// no compression. Sizes are bounded before memory is taken for them (see
// limits.go), and a panic of a decoder becomes an error naming file, entry and
// offset.
//
// The package reads no clock and nothing outside the capture it is given.
package format
