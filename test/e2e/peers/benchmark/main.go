// Loads that etcd's own benchmark does not have, reported in its words by its own package:
//
//	fill       puts keys that ranges can name: PREFIX00000000, PREFIX00000001, …
//	mixed      nine linearizable gets of one key to one put
//	fan-out    each put goes to a watcher on each of many streams
//	keepalive  each client renews a lease on a stream that stays open
//	gap        puts at a steady rate, each with a time limit, until standard input ends: the longest time without one that succeeded
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/report"
	"go.uber.org/zap"
)

type load struct {
	clients   []*clientv3.Client // the same connection stands for several clients
	total     int
	keys      int
	prefix    string
	valueSize int
	ahead     int
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("which load? fill, mixed, fan-out, keepalive or gap")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	endpoints := flags.String("endpoints", "127.0.0.1:2379", "connections go to each in turn")
	connections := flags.Int("conns", 1, "")
	clients := flags.Int("clients", 1, "clients, or watchers, each with one thing under way at a time")
	caFile := flags.String("cacert", "", "over TLS when it is given")
	l := load{}
	flags.IntVar(&l.total, "total", 10_000, "requests; of fan-out: puts")
	flags.IntVar(&l.keys, "key-space-size", 10_000, "")
	flags.StringVar(&l.prefix, "prefix", "load/", "of the keys")
	flags.IntVar(&l.valueSize, "val-size", 256, "")
	flags.IntVar(&l.ahead, "ahead", 16, "fan-out: so many puts may be ahead of the slowest watcher")
	_ = flags.Parse(os.Args[2:])
	l.clients = dial(strings.Split(*endpoints, ","), *connections, *clients, tlsOf(*caFile))
	switch os.Args[1] {
	case "fill":
		l.fill()
	case "mixed":
		l.mixed()
	case "fan-out":
		l.fanOut()
	case "keepalive":
		l.keepAlive()
	case "gap":
		l.gap()
	default:
		log.Fatalf("no load %q", os.Args[1])
	}
}

func tlsOf(caFile string) *tls.Config {
	if caFile == "" {
		return nil
	}
	pem, err := os.ReadFile(caFile)
	must(err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		log.Fatalf("%s: no certificate", caFile)
	}
	return &tls.Config{RootCAs: roots}
}

func dial(endpoints []string, connections int, clients int, config *tls.Config) []*clientv3.Client {
	dialed := make([]*clientv3.Client, connections)
	for i := range dialed {
		endpoint := endpoints[i%len(endpoints)]
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: config, Logger: zap.NewNop()})
		must(err)
		dialed[i] = client
	}
	all := make([]*clientv3.Client, clients)
	for i := range all {
		all[i] = dialed[i%connections]
	}
	return all
}

// each calls work with 0 to total-1, one at a time for each client, and prints the report of how long each took.
func (l *load) each(work func(client *clientv3.Client, i int) error) {
	numbers := make(chan int, len(l.clients))
	r := report.NewReport("%4.4f")
	var clients sync.WaitGroup
	for _, client := range l.clients {
		clients.Go(func() {
			for i := range numbers {
				start := time.Now()
				err := work(client, i)
				r.Results() <- report.Result{Err: err, Start: start, End: time.Now()}
			}
		})
	}
	printed := r.Run()
	for i := range l.total {
		numbers <- i
	}
	close(numbers)
	clients.Wait()
	close(r.Results())
	fmt.Println(<-printed)
}

func (l *load) key(i int) string {
	return fmt.Sprintf("%s%08d", l.prefix, i%l.keys)
}

func (l *load) value() string {
	return strings.Repeat("v", l.valueSize)
}

func (l *load) fill() {
	value := l.value()
	l.each(func(client *clientv3.Client, i int) error {
		_, err := client.Put(context.Background(), l.key(i), value)
		return err
	})
}

func (l *load) mixed() {
	value := l.value()
	l.each(func(client *clientv3.Client, i int) error {
		key := l.key(i * 7919) // prime, so that neighbours in time are none in the store
		if i%10 == 0 {
			_, err := client.Put(context.Background(), key, value)
			return err
		}
		_, err := client.Get(context.Background(), key)
		return err
	})
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
