// Package spelling reads short texts that people type, and finds the words that a
// mistyped one was likeliest meant to be, for messages that say what there is
// instead.
package spelling

import (
	"cmp"
	"slices"
)

// maxLetters bounds the work on words that someone typed.
const maxLetters = 64

// Nearest returns the known word with the smallest edit distance to word, the
// first of equals. known must not be empty.
func Nearest(word string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(word, a) - distance(word, b) })
}

// Near returns at most n of the known words, the nearest first, equals in
// alphabetic order: those that differ in at most a third of word's letters
// (and at least one), or that word begins.
func Near(word string, known []string, n int) []string {
	type candidate struct {
		word string
		cost int
	}
	var near []candidate
	limit := max(1, min(len(word), maxLetters)/3)
	for _, k := range known {
		d := len(k) - len(word)
		begins := len(word) > 2 && d > 0 && k[:len(word)] == word
		if !begins && (d > limit || -d > limit) {
			continue // the distance is at least the difference in length
		}
		cost := limit
		if !begins {
			cost = distance(word, k)
		}
		if cost <= limit {
			near = append(near, candidate{k, cost})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.word, b.word))
	})
	near = slices.Compact(near)
	var words []string
	for _, c := range near[:min(n, len(near))] {
		words = append(words, c.word)
	}
	return words
}

// distance counts the bytes to insert, drop, change or swap with their
// neighbour to get from a to b (optimal string alignment). Of a long a only
// the beginning counts.
func distance(a, b string) int {
	a = a[:min(len(a), maxLetters)]
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
