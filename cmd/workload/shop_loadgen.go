package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"
)

// mix is how often the load generator asks for each type of request, of ten.
var mix = []string{
	"/browse", "/browse", "/browse", "/browse", "/browse", "/browse",
	"/add", "/add", "/add",
	"/order",
}

// shopLoadgen is the role of the client: it asks the frontend until its
// duration is over and then waits for the answers that are still due.
func shopLoadgen(ctx context.Context, text []byte, _ func(string)) (Truth, error) {
	var config shopConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return Truth{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, config.Duration)
	defer cancel()
	client := newShopClient(config.Peers["frontend"])
	asks := make(chan string)
	var workers sync.WaitGroup
	for range config.Concurrency {
		workers.Go(func() {
			for path := range asks {
				client.ask(path) //nolint:errcheck // counted as the edge's error
			}
		})
	}
	pace(ctx, config.Rate, seeded(config.Seed, config.Name), asks)
	workers.Wait()
	return Truth{Edges: []Edge{client.finish(config.Name, "frontend")}}, nil
}

// pace hands out requests at the rate until ctx is done, then closes asks.
// Where all workers are busy it waits for one, and catches up afterwards.
func pace(ctx context.Context, rate int, random *rand.Rand, asks chan<- string) {
	defer close(asks)
	start := time.Now()
	for i := 0; ; i++ {
		if rate > 0 {
			due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return
			}
		}
		select {
		case asks <- mix[random.IntN(len(mix))]:
		case <-ctx.Done():
			return
		}
	}
}
