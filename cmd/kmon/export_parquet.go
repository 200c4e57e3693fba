package main

import (
	"context"
	"errors"
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

// exportParquet makes a directory with all tables of a capture. It has its
// name once it is complete.
func exportParquet(ctx context.Context, c *format.Capture, dir string) error {
	part := filepath.Clean(dir) + partEnding
	if err := os.Mkdir(part, 0o777); err != nil {
		return err
	}
	err := c.Extract(part)
	if err == nil {
		err = appendReadme(part)
	}
	if err == nil {
		err = writeJoined(ctx, c, part)
	}
	if err == nil {
		err = os.Rename(part, dir)
	}
	if err != nil {
		_ = os.RemoveAll(part) // half of it helps nobody; err says why
		return err
	}
	return nil
}

func appendReadme(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "README.txt"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(joinedReadme)
	return errors.Join(err, f.Close())
}

// writeJoined writes the joined tables of what the capture has.
func writeJoined(ctx context.Context, c *format.Capture, dir string) error {
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
func joined[T any](dir, table string, fill func(*format.TableFile[T]) error) error {
	t, err := format.CreateTable[T](filepath.Join(dir, table, "000001.parquet"))
	if err != nil {
		return err
	}
	return errors.Join(fill(t), t.Close())
}
