//go:build unix && race

package main

// raced: the race detector runs, which takes several times the memory and time.
const raced = true
