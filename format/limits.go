package format

// What a reader accepts at most. A capture is hostile input: every size it
// states is held against these before memory is taken for it.
//
// Reading one segment needs at most maxEntryBytes for the entry, maxPageBytes
// for a page, maxTextBytes for texts, and for its rows maxSegmentRows times the
// size of a row: 32 + 16 + 64 + 60 MiB at the limits for the widest table, 32 +
// 16 + 24 MiB for exchanges by columns; 1 + 9 MiB for exchanges as the Writer
// makes them. Opening a file needs maxEntries directory records of at most 400
// bytes. Several goroutines that read need as much each.
const (
	maxEntryBytes   = 32 << 20 // of one entry; the Writer makes about 1 MB
	maxJSONBytes    = 2 << 20  // of manifest.json and final.json
	maxEntries      = 1 << 20  // in one file: 12 days of one segment a second
	maxSegmentRows  = 1 << 18  // in one segment; the Writer makes 100,000 and a batch
	maxPageBytes    = 16 << 20 // of one page, decompressed
	maxColumnBytes  = 64 << 20 // of all pages of one column, decompressed
	maxTextBytes    = 64 << 20 // of all texts of one segment, decompressed
	maxSpelledBytes = 32 << 20 // of the texts of all rows of one segment; the Writer makes 4 MiB and a batch
	maxColumns      = 256      // in one table
	maxRowGroups    = 64       // in one segment; the Writer makes one
	maxColumnName   = 64       // bytes
	maxThriftDepth  = 12       // nesting in a Parquet header
	maxProblems     = 100      // kept; further ones are counted
	maxEntryNameLen = 256

	maxCollectors     = 64   // in manifest.json; there are six
	maxSynthetic      = 4096 // bytes in manifest.json; what is longer is cut
	maxCollectorFacts = 4096 // variants, missing indicators or settings of one
)

// A small file must not become a large recording. Every row of an event has a
// time that differs, so that even idle tables take a byte a row; a table may
// have as many rows as a full segment for free, for those that hardly take any.
// What the pages of a segment become is bounded likewise: all numbers of a full
// segment of the widest table are 20 MiB.
const (
	freeRows      = 1 << 17 // the Writer makes 100,000 and a batch
	rowsPerByte   = 4
	maxExpansion  = 256 // bytes of pages a byte of the file
	freeExpansion = 32 << 20
)
