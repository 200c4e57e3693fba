//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kmon/format"
)

// spoilSegment changes the Parquet file of some tables; the archive around
// them, with its checksums, is right.
func (m *mutator) spoilSegment(spoil func(data []byte) []byte) []byte {
	parts := m.parts()
	for range 1 + m.IntN(3) {
		p := m.segment(parts)
		p.contain(spoil(bytes.Clone(p.data)))
	}
	return archiveOf(parts, ending{})
}

// footerOf gives the footer of a Parquet file.
func footerOf(data []byte) []byte {
	if len(data) < 12 {
		return data
	}
	size := int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	return data[max(0, len(data)-8-size) : len(data)-8]
}

func (m *mutator) spoilFooter() []byte {
	return m.spoilSegment(func(data []byte) []byte {
		m.overwrite(footerOf(data), 1+m.IntN(4), 1+m.IntN(3), m.noise)
		return data
	})
}

// spoilNumbers writes the largest numbers over parts of a footer.
func (m *mutator) spoilNumbers() []byte {
	return m.spoilSegment(func(data []byte) []byte {
		m.overwrite(footerOf(data), 1+m.IntN(3), 1, func(b []byte) {
			b = b[:min(cap(b), 1+m.IntN(10))] // on into what follows
			for i := range b {
				b[i] = 0xff
			}
			b[len(b)-1] = byte(1 + m.IntN(127))
		})
		return data
	})
}

func (m *mutator) spoilPages() []byte {
	return m.spoilSegment(func(data []byte) []byte {
		pages := data[4:max(5, len(data)-len(footerOf(data)))]
		return append(data[:4], append(m.overwrite(bytes.Clone(pages), 1+m.IntN(8), 1+m.IntN(4), m.noise), data[4+len(pages):]...)...)
	})
}

// splice gives a Parquet file another length, or another's footer.
func (m *mutator) splice() []byte {
	return m.spoilSegment(func(data []byte) []byte {
		parts := m.parts()
		switch m.IntN(4) {
		case 0:
			return data[:m.IntN(len(data))]
		case 1:
			binary.LittleEndian.PutUint32(data[len(data)-8:], m.Uint32()>>m.IntN(32))
			return data
		case 2:
			other := m.segment(parts).data
			return append(data[:len(data)-8-len(footerOf(data))], other[len(other)-8-len(footerOf(other)):]...)
		default:
			return append(data, data...)
		}
	})
}

var hostileJSON = []string{
	"-1", "0", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "1e18", "1e400", "0.5", "null", "true", "[]", "{}", `""`,
	`"\u0000\u001b[2J<script>"`, `"9223372036854775807"`, `"-1"`, `"NaN"`, `"1e300"`, `[[[[[[[[]]]]]]]]`, `{"a":{"b":{}}}`,
	`"` + strings.Repeat("x", 1<<16) + `"`, `[null,null]`, `[{},{}]`, `{"":""}`, `"kmon.capture"`, `2`,
}

// spoilValue replaces values of manifest.json or final.json.
func (m *mutator) spoilValue() []byte {
	parts := m.parts()
	p := &parts[slices.IndexFunc(parts, func(p part) bool { return p.central.name == "manifest.json" })]
	if last := &parts[len(parts)-1]; m.IntN(3) == 0 && last.central.name == "final.json" {
		p = last
	}
	var value any
	check(m.t, json.Unmarshal(p.data, &value))
	for range 1 + m.IntN(4) {
		value = m.replaceIn(value)
	}
	data, err := json.Marshal(value)
	check(m.t, err)
	p.contain(data)
	return archiveOf(parts, ending{})
}

// replaceIn puts a hostile value somewhere in v.
func (m *mutator) replaceIn(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if keys := slices.Sorted(mapKeys(v)); len(keys) > 0 && m.IntN(20) > 0 {
			key := keys[m.IntN(len(keys))]
			v[key] = m.replaceIn(v[key])
			return v
		}
	case []any:
		if len(v) > 0 && m.IntN(10) > 0 {
			i := m.IntN(len(v))
			v[i] = m.replaceIn(v[i])
			return v
		}
	}
	return json.RawMessage(hostileJSON[m.IntN(len(hostileJSON))])
}

func mapKeys(v map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range v {
			if !yield(key) {
				return
			}
		}
	}
}

// monster is a manifest or summary that is as large, deep or odd as it gets.
func (m *mutator) monster() []byte {
	parts := m.parts()
	p := &parts[slices.IndexFunc(parts, func(p part) bool { return p.central.name == "manifest.json" })]
	if last := &parts[len(parts)-1]; m.IntN(2) == 0 && last.central.name == "final.json" {
		p = last
	}
	const most = 2<<20 - 200
	head := `{"format":"kmon.capture","version":1,`
	many := func(one string) string { return strings.Repeat(one, most/len(one)) }
	numbered := func(member, value string) string {
		var b strings.Builder
		for i := 0; b.Len() < most; i++ {
			fmt.Fprintf(&b, `"%d":%s,`, i, value)
		}
		return head + `"` + member + `":{` + strings.TrimSuffix(b.String(), ",") + `}}`
	}
	p.contain([]byte([]func() string{
		func() string { return many("[") },
		func() string { return head + `"host":` + many(`{"host":`) },
		func() string { return head + `"collectors":[` + strings.TrimSuffix(many("{},"), ",") + "]}" },
		func() string { return head + `"host":{"name":"` + many(`\u001b`) + `"}}` },
		func() string { return head + `"stop_reason":"` + many(`<`) + `","error":"x"}` },
		func() string { return numbered("options", `""`) },
		func() string { return numbered("rows", "1") },
		func() string { return numbered("losses", "1") },
		func() string { return head + many(`"version":1,`) + `"x":1}` },
		func() string { return head + `"x":"` + many("x") + many("x") + `"}` },
		func() string { return head + `"command_line":[` + strings.TrimSuffix(many(`"",`), ",") + "]}" },
		func() string { return "\xff\xfe{}" },
		func() string { return "" },
	}[m.IntN(13)]()))
	return archiveOf(parts, ending{})
}

// textOf is the text form of a capture.
func textOf(t *testing.T, path string) string {
	c, err := format.Open(path)
	check(t, err)
	defer c.Close()
	var text bytes.Buffer
	check(t, format.WriteText(&text, c))
	return text.String()
}

var hostileNumbers = []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MaxInt32, math.MinInt32, 1 << 40, 1 << 62, -1 << 62, 1e18, 255, 65536}

var hostileTexts = []string{
	`""`, `"\x00"`, `"\x1b[2J\u202e<script>alert(1)</script>"`, `"a\nb\tc|d,e;f"`, "x", "-1", "10.0.0.1", "::", "999.999.999.999/99",
	`"` + strings.Repeat("é", 2000) + `"`, strings.Repeat("y", 60_000), "kernel", "read", "(other)",
}

// spoilLine replaces values of a row in text form: numbers by numbers, words
// and texts by either.
func (m *mutator) spoilLine(line string) string {
	values := strings.Split(line, " ")
	for range 1 + m.IntN(3) {
		i := m.IntN(len(values))
		if _, err := strconv.ParseInt(values[i], 10, 64); err == nil || m.IntN(2) == 0 {
			values[i] = strconv.FormatInt(hostileNumbers[m.IntN(len(hostileNumbers))], 10)
		} else {
			values[i] = hostileTexts[m.IntN(len(hostileTexts))]
		}
	}
	return strings.Join(values, " ")
}

// row says whether a line of the text form is a row.
func isRow(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return line != "" && word != "table" && word != "manifest" && word != "final" && word != "kmon.capture"
}

func (m *mutator) spoilRows() []byte {
	lines := strings.Split(m.texts[m.base], "\n")
	share := []int{len(lines), 100, 10, 2}[m.IntN(4)] // one in so many
	original := slices.Clone(lines)
	for i, line := range lines {
		if isRow(line) && (m.IntN(share) == 0 || share == len(lines) && i == len(lines)/2) {
			lines[i] = m.spoilLine(line)
		}
	}
	return m.fromText(lines, original)
}

// shuffleRows repeats, drops and moves rows besides.
func (m *mutator) shuffleRows() []byte {
	var lines []string
	var table []string
	end := func() {
		m.Shuffle(len(table), func(i, j int) { table[i], table[j] = table[j], table[i] })
		lines, table = append(lines, table...), nil
	}
	for line := range strings.SplitSeq(m.texts[m.base], "\n") {
		if !isRow(line) {
			end()
			lines = append(lines, line)
			continue
		}
		times := 1
		switch m.IntN(20) {
		case 0:
			times = 0
		case 1:
			times = 1 + m.IntN(30)
		}
		for range times {
			table = append(table, line)
		}
	}
	end()
	original := slices.Clone(lines)
	for i, line := range lines {
		if isRow(line) && m.IntN(50) == 0 {
			lines[i] = m.spoilLine(line)
		}
	}
	return m.fromText(lines, original)
}

// mostRefused is how many lines of a text form are put right one by one.
const mostRefused = 8

// fromText makes the capture of a text form. A line that it does not take
// becomes what it was, and at last all lines behind it do.
func (m *mutator) fromText(lines, original []string) []byte {
	for refused := 1; ; refused++ {
		path := filepath.Join(m.dir, "text.kmon")
		err := format.ReadText(strings.NewReader(strings.Join(lines, "\n")), path)
		if err == nil {
			return read(m.t, path)
		}
		n := 0
		if _, scanErr := fmt.Sscanf(err.Error(), "line %d:", &n); scanErr != nil || lines[n-1] == original[n-1] {
			m.t.Fatalf("text form: %v", err)
		}
		lines[n-1] = original[n-1]
		if refused == mostRefused {
			copy(lines[n:], original[n:])
		}
	}
}
