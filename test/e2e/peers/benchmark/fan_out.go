package main

import (
	"context"
	"fmt"
	"log"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/report"
)

// fanOut reports for each event the time from its put, whose number its value is. The bound on puts ahead of the slowest
// watcher is what keeps this the time that an event takes, and not how long a queue has become.
func (l *load) fanOut() {
	started := make([]time.Time, l.total)
	received := make([]sync.WaitGroup, l.total)
	for i := range received {
		received[i].Add(len(l.clients))
	}
	r := report.NewReport("%4.4f")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var created, done sync.WaitGroup
	for _, client := range l.clients {
		created.Add(1)
		done.Go(func() {
			l.receive(clientv3.NewWatcher(client).Watch(ctx, l.prefix, clientv3.WithCreatedNotify()), created.Done, func(i int) {
				r.Results() <- report.Result{Start: started[i], End: time.Now()}
				received[i].Done()
			})
		})
	}
	created.Wait()
	printed := r.Run()
	for i := range l.total {
		if i >= l.ahead {
			received[i-l.ahead].Wait()
		}
		started[i] = time.Now()
		_, err := l.clients[0].Put(ctx, l.prefix, strconv.Itoa(i))
		must(err)
	}
	done.Wait()
	close(r.Results())
	fmt.Println(<-printed)
}

func (l *load) receive(answers clientv3.WatchChan, created func(), event func(i int)) {
	next := 0
	for answer := range answers {
		must(answer.Err())
		if answer.Created {
			created()
		}
		for _, e := range answer.Events {
			if string(e.Kv.Value) != strconv.Itoa(next) {
				log.Fatalf("event %s instead of %d", e.Kv.Value, next)
			}
			event(next)
			next++
		}
		if next == l.total {
			return
		}
	}
	log.Fatalf("a watch ended after %d events", next)
}
