package format

import (
	"fmt"
	"strconv"
)

// columnValues is one decoded column of any table, also of one this version
// does not know.
type columnValues struct {
	column
	numbers []int64  // of both numeric kinds
	texts   []string // of kindText
}

// human gives row i as people read it: words for enums and flags, texts quoted
// when they are empty or hold anything but plain printable characters.
func (v *columnValues) human(i int) string {
	switch {
	case v.kind == kindText:
		return quoteText(v.texts[i])
	case v.words != nil:
		return v.words.text(v.numbers[i])
	default:
		return strconv.FormatInt(v.numbers[i], 10)
	}
}

// quoteText quotes s unless it is a plain word.
func quoteText(s string) string {
	if s == "" {
		return `""`
	}
	for _, b := range []byte(s) {
		if b <= ' ' || b > '~' || b == '"' || b == '\\' {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// unquoteText is the inverse of quoteText.
func unquoteText(s string) (string, error) {
	if len(s) > 0 && s[0] == '"' {
		return strconv.Unquote(s)
	}
	return s, nil
}

// readAll decodes all columns as they stand in the segment's footer, those of
// the table first and in its order.
func (o *openSegment) readAll(t *table) ([]columnValues, error) {
	var all []columnValues
	if t != nil {
		for _, c := range t.columns {
			chunks, err := o.chunksOf(c)
			if err != nil {
				return nil, err
			}
			all = append(all, columnValues{column: c})
			if err := o.readValues(&all[len(all)-1], chunks); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range o.names {
		if t != nil {
			if _, known := t.column(name); known {
				continue
			}
		}
		chunks := o.columns[name]
		if len(chunks) == 0 {
			continue
		}
		all = append(all, columnValues{column: column{name: name, kind: chunks[0].kind}})
		if err := o.readValues(&all[len(all)-1], chunks); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readValues decodes one column; without chunks its values are zero.
func (o *openSegment) readValues(v *columnValues, chunks []chunk) (err error) {
	switch v.kind {
	case kindText:
		v.texts = make([]string, o.rows)
		err = readTexts(o.decoder, chunks, v.texts)
	case kindInt32:
		narrow := make([]int32, o.rows)
		err = readNumbers(o.decoder, chunks, narrow)
		v.numbers = make([]int64, o.rows)
		for i, n := range narrow {
			v.numbers[i] = int64(n)
		}
	default:
		v.numbers = make([]int64, o.rows)
		err = readNumbers(o.decoder, chunks, v.numbers)
	}
	if err != nil {
		return fmt.Errorf("column %s: %w", v.name, err)
	}
	return nil
}

// eachSegment calls fn with the decoded columns of each readable segment of a
// table; the error is that of fn.
func (c *Capture) eachSegment(name string, fn func(columns []columnValues, rows int) error) error {
	t := tableNamed(name)
	var allowed allowance
	for _, s := range c.segments[name] {
		err := s.read(func(o *openSegment) error {
			if err := allowed.take(o); err != nil {
				return err
			}
			columns, err := o.readAll(t)
			if err != nil {
				return err
			}
			if err := fn(columns, o.rows); err != nil {
				return stop{err}
			}
			return nil
		})
		if err != nil && !isFileError(err) {
			return err
		}
	}
	return nil
}
