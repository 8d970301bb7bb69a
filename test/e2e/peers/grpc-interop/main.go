// The cases of gRPC's interoperability tests (google.golang.org/grpc/interop), one after another against one address. The
// first that fails ends the program: the library's functions say what was wrong and exit.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	address := flag.String("address", "", "host:port, or unix:path")
	flag.Parse()
	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := testgrpc.NewTestServiceClient(connection)
	zipped := grpc.UseCompressor(gzip.Name)
	cases := []struct {
		name string
		run  func(ctx context.Context)
	}{
		{"empty_unary", func(ctx context.Context) { interop.DoEmptyUnaryCall(ctx, client) }},
		{"large_unary", func(ctx context.Context) { interop.DoLargeUnaryCall(ctx, client) }},
		{"client_streaming", func(ctx context.Context) { interop.DoClientStreaming(ctx, client) }},
		{"server_streaming", func(ctx context.Context) { interop.DoServerStreaming(ctx, client) }},
		{"ping_pong", func(ctx context.Context) { interop.DoPingPong(ctx, client) }},
		{"empty_stream", func(ctx context.Context) { interop.DoEmptyStream(ctx, client) }},
		{"large_unary, gzip", func(ctx context.Context) { interop.DoLargeUnaryCall(ctx, client, zipped) }},
		{"client_streaming, gzip", func(ctx context.Context) { interop.DoClientStreaming(ctx, client, zipped) }},
		{"ping_pong, gzip", func(ctx context.Context) { interop.DoPingPong(ctx, client, zipped) }},
		{"timeout_on_sleeping_server", func(ctx context.Context) { interop.DoTimeoutOnSleepingServer(ctx, client) }},
		{"cancel_after_begin", func(ctx context.Context) { interop.DoCancelAfterBegin(ctx, client) }},
		{"cancel_after_first_response", func(ctx context.Context) { interop.DoCancelAfterFirstResponse(ctx, client) }},
		{"custom_metadata", func(ctx context.Context) { interop.DoCustomMetadata(ctx, client) }},
		{"status_code_and_message", func(ctx context.Context) { interop.DoStatusCodeAndMessage(ctx, client) }},
		{"special_status_message", func(ctx context.Context) { interop.DoSpecialStatusMessage(ctx, client) }},
		{"unimplemented_service", func(ctx context.Context) {
			interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(connection))
		}},
		{"unimplemented_method", func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, connection) }},
	}
	for _, each := range cases {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		each.run(ctx)
		cancel()
		fmt.Println("ok", each.name)
	}
}
