//go:build unix

package main

import (
	"bytes"
	"hash/maphash"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// mutator makes mutants of real captures.
type mutator struct {
	*rand.Rand
	t      *testing.T
	paths  []string
	bases  [][]byte
	texts  []string // their text forms
	hashes []uint64 // of the text forms
	seed   maphash.Seed
	base   int    // of the mutant being made
	dir    string // for files on the way to it
	bombs  map[string][]byte
}

func newMutator(t *testing.T) *mutator {
	m := &mutator{t: t, seed: maphash.MakeSeed(), bombs: map[string][]byte{}, paths: []string{
		filepath.Join("..", "..", "testdata", "captures", "v1", "shop.kmon"), filepath.Join("testdata", "whole", "whole.kmon")}}
	for _, path := range m.paths {
		m.bases = append(m.bases, read(t, path))
		m.texts = append(m.texts, textOf(t, path))
		m.hashes = append(m.hashes, m.textHash(t, path))
	}
	return m
}

// mutation is one way to spoil a capture.
type mutation struct {
	name string
	make func(*mutator) []byte
}

var mutations = []mutation{
	{"bytes: cut", (*mutator).cut},
	{"bytes: bits flipped", func(m *mutator) []byte { return m.overwrite(m.original(), m.IntN(8)+1, 1, m.flip) }},
	{"bytes: a block of zeros", func(m *mutator) []byte {
		return m.overwrite(m.original(), 1, 4096, func(b []byte) { clear(b) })
	}},
	{"bytes: a block of noise", func(m *mutator) []byte { return m.overwrite(m.original(), 1, 512, m.noise) }},
	{"bytes: ranges swapped", (*mutator).swapRanges},
	{"bytes: a range twice", (*mutator).repeatRange},
	{"bytes: a range missing", (*mutator).dropRange},
	{"bytes: several", func(m *mutator) []byte {
		data := m.overwrite(m.original(), 3, 64, m.noise)
		return m.overwrite(data[:len(data)-m.IntN(2000)], 3, 1, m.flip)
	}},
	{"zip: entries moved", (*mutator).moveParts},
	{"zip: contents swapped", (*mutator).swapContents},
	{"zip: an entry twice", (*mutator).repeatPart},
	{"zip: names", (*mutator).rename},
	{"zip: headers lie", (*mutator).lie},
	{"zip: entries overlap", (*mutator).overlap},
	{"zip: the end lies", (*mutator).lieAtEnd},
	{"zip: compressed", (*mutator).deflate},
	{"parquet: footer", (*mutator).spoilFooter},
	{"parquet: numbers in the footer", (*mutator).spoilNumbers},
	{"parquet: pages", (*mutator).spoilPages},
	{"parquet: cut or spliced", (*mutator).splice},
	{"json: a value", (*mutator).spoilValue},
	{"json: a monster", (*mutator).monster},
	{"rows: values", (*mutator).spoilRows},
	{"rows: values and order", (*mutator).shuffleRows},
}

// bombEvery is how many mutants there are to a bomb, which takes long.
const bombEvery = 60

// mutant makes the mutant of a number, and says what it is.
func (m *mutator) mutant(number int, dir string) (data []byte, story string) {
	m.Rand = rand.New(rand.NewPCG(uint64(number), 20_261_121))
	m.dir = dir
	m.base = m.IntN(len(m.bases))
	if number%bombEvery == bombEvery-1 {
		data, story = m.bomb(number / bombEvery)
	} else {
		way := mutations[number%len(mutations)]
		data, story = way.make(m), way.name
	}
	return data, story + " of " + filepath.Base(m.paths[m.base])
}

// original is a copy of the capture to spoil.
func (m *mutator) original() []byte { return bytes.Clone(m.bases[m.base]) }

func (m *mutator) cut() []byte {
	data := m.original()
	return data[:m.IntN(len(data))]
}

func (m *mutator) flip(b []byte) { b[0] ^= 1 << m.IntN(8) }

func (m *mutator) noise(b []byte) {
	for i := range b {
		b[i] = byte(m.Uint32())
	}
}

// overwrite lets spoil change some ranges of at most so many bytes.
func (m *mutator) overwrite(data []byte, times, most int, spoil func([]byte)) []byte {
	for range times {
		if len(data) == 0 {
			break
		}
		at := m.IntN(len(data))
		spoil(data[at:min(len(data), at+1+m.IntN(most))])
	}
	return data
}

// within gives a range of data, of at most a quarter of it.
func (m *mutator) within(data []byte) (from, to int) {
	from = m.IntN(len(data))
	return from, min(len(data), from+1+m.IntN(len(data)/4))
}

func (m *mutator) swapRanges() []byte {
	data := m.original()
	n := 1 + m.IntN(len(data)/4)
	from, to := m.IntN(len(data)/2-n), len(data)/2+m.IntN(len(data)/2-n)
	kept := bytes.Clone(data[from : from+n])
	copy(data[from:], data[to:to+n])
	copy(data[to:], kept)
	return data
}

func (m *mutator) repeatRange() []byte {
	data := m.original()
	from, to := m.within(data)
	at := m.IntN(len(data))
	return bytes.Join([][]byte{data[:at], data[from:to], data[at:]}, nil)
}

func (m *mutator) dropRange() []byte {
	data := m.original()
	from, to := m.within(data)
	return append(data[:from], data[to:]...)
}
