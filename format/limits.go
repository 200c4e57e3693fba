package format

// What a reader accepts at most. A capture is hostile input: every size it
// states is held against these before memory is taken for it. Reading one
// segment therefore needs at most maxEntryBytes + maxColumnBytes + 16 bytes a
// row and column (134 MiB + 192 MiB for exchanges at the limits; 1 MB + 9 MB
// for what the Writer makes), and opening a file needs maxEntries directory
// records.
const (
	maxEntryBytes   = 64 << 20 // of one entry; the Writer makes about 1 MB
	maxJSONBytes    = 4 << 20  // of manifest.json and final.json
	maxEntries      = 1 << 20  // in one file: 12 days of one segment a second
	maxSegmentRows  = 1 << 20  // in one segment; the Writer makes about 100,000
	maxPageBytes    = 16 << 20 // of one page, decompressed
	maxColumnBytes  = 64 << 20 // of all pages of one column, decompressed
	maxColumns      = 256      // in one table
	maxThriftDepth  = 12       // nesting in a Parquet header
	maxProblems     = 100      // kept; further ones are counted
	maxEntryNameLen = 256
)
