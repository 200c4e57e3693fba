package main

import "strings"

// nearest returns the word of words that the typed one was likeliest meant to
// be, "" if none is near: at most a third of the letters (and at least one)
// may differ, or the typed word begins it. The first of equals wins.
func nearest(typed string, words []string) string {
	best, bestCost := "", max(1, len(typed)/3)+1
	for _, word := range words {
		cost := distance(strings.ToLower(typed), word)
		if len(typed) > 1 && strings.HasPrefix(word, strings.ToLower(typed)) {
			cost = 0
		}
		if cost < bestCost {
			best, bestCost = word, cost
		}
	}
	return best
}

// distance counts the letters to insert, drop, change or swap with their
// neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
