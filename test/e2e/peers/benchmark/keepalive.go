package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/report"
)

const leaseSeconds = 600

// keepAlive has a stream and a lease for each client, as programs that hold a lease do. (etcd's benchmark opens a stream
// for each renewal.)
func (l *load) keepAlive() {
	streams := make([]func() error, len(l.clients))
	var opened sync.WaitGroup
	for i, client := range l.clients {
		opened.Go(func() { streams[i] = renewals(client) })
	}
	opened.Wait()
	turns := make(chan struct{}, len(l.clients))
	r := report.NewReport("%4.4f")
	var clients sync.WaitGroup
	for _, renew := range streams {
		clients.Go(func() {
			for range turns {
				start := time.Now()
				err := renew()
				r.Results() <- report.Result{Err: err, Start: start, End: time.Now()}
			}
		})
	}
	printed := r.Run()
	for range l.total {
		turns <- struct{}{}
	}
	close(turns)
	clients.Wait()
	close(r.Results())
	fmt.Println(<-printed)
}

func renewals(client *clientv3.Client) func() error {
	lease := pb.NewLeaseClient(client.ActiveConnection())
	granted, err := lease.LeaseGrant(context.Background(), &pb.LeaseGrantRequest{TTL: leaseSeconds})
	must(err)
	stream, err := lease.LeaseKeepAlive(context.Background())
	must(err)
	return func() error {
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: granted.ID}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err == nil && answer.TTL != leaseSeconds {
			return fmt.Errorf("TTL %d", answer.TTL)
		}
		return err
	}
}
