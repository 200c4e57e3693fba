package compare

import (
	"context"
	"errors"
)

// Run compares the recordings of base with those of new. It fails on files that are
// no captures, on options that make no sense, and when ctx ends; damage, loss and
// too little data don't fail, they are inconclusive.
func Run(ctx context.Context, base, new []Recording, o Options) (*Result, error) {
	return nil, errors.New("comparing is being built: only the types are there")
}
