package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// To each connection. What comes when nobody answers is given up in time, so what is under way is bounded.
	putEvery = 10 * time.Millisecond
	// Twice the longest gap that is looked for: who gives up sooner would measure its own patience.
	putLimit = 5 * time.Second
)

func (l *load) gap() {
	ctx, stop := context.WithCancel(context.Background())
	successes := make(chan time.Time, 1024)
	var clients sync.WaitGroup
	for i, client := range l.clients {
		clients.Go(func() {
			tick := time.NewTicker(putEvery)
			defer tick.Stop()
			var puts sync.WaitGroup
			defer puts.Wait()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				puts.Go(func() {
					limited, cancel := context.WithTimeout(ctx, putLimit)
					defer cancel()
					if _, err := client.Put(limited, l.key(i), l.value()); err == nil {
						successes <- time.Now()
					}
				})
			}
		})
	}
	longest := make(chan time.Duration)
	go longestGap(successes, longest)
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	clients.Wait()
	close(successes)
	fmt.Printf("Longest gap:\t%4.4f secs.\n", (<-longest).Seconds())
}

// longestGap says on standard output when the first put has succeeded.
func longestGap(successes <-chan time.Time, result chan<- time.Duration) {
	var last time.Time
	var longest time.Duration
	for at := range successes {
		if last.IsZero() {
			fmt.Println("under way")
		} else {
			longest = max(longest, at.Sub(last))
		}
		last = at
	}
	result <- longest
}
