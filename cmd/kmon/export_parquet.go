package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kmon/analyze"
	"kmon/format"
)

// joinedReadme is appended to the README.txt of a directory of tables.
const joinedReadme = `
Tables that kmon export joined, for queries as they stand. Times are Unix, in ns.

exchanges_named
  exchanges with host, role, the services of both ends, addresses and flags in
  words; latency_ns is upload_ns + server_ns + download_ns

oncpu_folded
  oncpu with service and stack: the frames from the root, joined by ";"

offcpu_folded
  offcpu likewise, with the state waited in

With DuckDB:
  SELECT client_service, server_service, count(*) AS requests,
         quantile_cont(latency_ns, 0.99) / 1e6 AS p99_ms
  FROM 'exchanges_named/*.parquet'
  WHERE role = 'server' GROUP BY ALL ORDER BY requests DESC;

  SELECT service, split_part(stack, ';', -1) AS leaf, count(*) AS samples
  FROM 'oncpu_folded/*.parquet' GROUP BY ALL ORDER BY samples DESC LIMIT 20;
`

// exportParquet makes a directory with all tables of a capture, which only its
// owner can read. It has its name once it is complete.
func exportParquet(ctx context.Context, c *format.Capture, name string) error {
	place, base, err := format.OpenDir(filepath.Clean(name))
	if err != nil {
		return err
	}
	defer place.Close()
	part := base + partEnding
	if err := place.Mkdir(part, 0o700); err != nil {
		return &fs.PathError{Op: "mkdir", Path: filepath.Clean(name) + partEnding, Err: errors.Unwrap(err)}
	}
	if err = fillTables(ctx, c, place, part); err == nil {
		err = place.Rename(part, base)
	}
	if err != nil {
		_ = place.RemoveAll(part) // half of it helps nobody; err says why
	}
	return err
}

// fillTables writes into the directory part of place.
func fillTables(ctx context.Context, c *format.Capture, place *os.Root, part string) error {
	dir, err := place.OpenRoot(part)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := c.Extract(dir); err != nil {
		return err
	}
	if err := appendReadme(dir); err != nil {
		return err
	}
	return writeJoined(ctx, c, dir)
}

func appendReadme(dir *os.Root) error {
	f, err := dir.OpenFile("README.txt", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(joinedReadme)
	return errors.Join(err, f.Close())
}

// writeJoined writes the joined tables of what the capture has.
func writeJoined(ctx context.Context, c *format.Capture, dir *os.Root) error {
	has := func(table string) bool { return len(c.Segments(table)) > 0 }
	if has("exchanges") {
		err := joined(dir, "exchanges_named", func(t *format.TableFile[analyze.NamedExchange]) error {
			return analyze.EachNamedExchange(ctx, c.Path, t.Append)
		})
		if err != nil {
			return err
		}
	}
	if !has("oncpu") && !has("offcpu") {
		return nil
	}
	return joined(dir, "oncpu_folded", func(on *format.TableFile[analyze.NamedSample]) error {
		return joined(dir, "offcpu_folded", func(off *format.TableFile[analyze.NamedWait]) error {
			return analyze.EachNamedStack(ctx, c.Path, on.Append, off.Append)
		})
	})
}

// joined makes one table and has it filled.
func joined[T any](dir *os.Root, table string, fill func(*format.TableFile[T]) error) error {
	t, err := format.CreateTable[T](dir, table+"/000001.parquet")
	if err != nil {
		return err
	}
	return errors.Join(fill(t), t.Close())
}
