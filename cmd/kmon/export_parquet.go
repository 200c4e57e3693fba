package main

import (
	"context"
	"errors"
	"fmt"
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
	dir, err := openMade(place, part)
	if err != nil {
		return err
	}
	if err := fillTables(ctx, c, dir); err != nil {
		removeMade(place, part, dir) // half of it helps nobody; err says why
		return err
	}
	if err := errors.Join(dir.Close(), place.Rename(part, base)); err != nil {
		return fmt.Errorf("the tables are in %s: %w", filepath.Clean(name)+partEnding, err)
	}
	return nil
}

// openMade opens a directory that was just made in place: no other that took its
// name meanwhile, which would be another user's, or not empty.
func openMade(place *os.Root, name string) (*os.Root, error) {
	dir, err := place.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(dir.FS(), ".")
	info, statErr := dir.Stat(".")
	if err = errors.Join(err, statErr); err == nil && (len(entries) > 0 || format.MadeByOthers(info)) {
		err = fmt.Errorf("%s was replaced while it was made", name)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// removeMade removes dir, which was made in place, and what is in it; of a
// directory that has taken its name, nothing.
func removeMade(place *os.Root, name string, dir *os.Root) {
	entries, _ := fs.ReadDir(dir.FS(), ".")
	for _, e := range entries {
		_ = dir.RemoveAll(e.Name())
	}
	_ = dir.Close()
	_ = place.Remove(name) // no directory that holds something
}

// fillTables writes into an empty directory.
func fillTables(ctx context.Context, c *format.Capture, dir *os.Root) error {
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
