// etcd_load drives etcd through its own Go client the way ringload drives Ringfort: closed loop, so many connections,
// so many requests in flight on each. It prints one JSON object with ringload's names.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

var (
	endpoints = flag.String("endpoints", "127.0.0.1:2379", "comma-separated; connections are dealt out to them in turn")
	operation = flag.String("op", "put", "put, get (linearizable), fill (each key put once, in order), lease-keepalive\n"+
		"(of as many leases as there are keys) or watch-latency")
	connections = flag.Int("connections", 16, "")
	inFlight    = flag.Int("in-flight", 16, "requests in flight on each connection")
	seconds     = flag.Float64("seconds", 5, "how long, for put and get")
	keys        = flag.Int("keys", 10000, "different keys")
	keyBytes    = flag.Int("key-bytes", 8, "")
	valueBytes  = flag.Int("value-bytes", 256, "")
	watches     = flag.Int("watches", 10, "of one key on each connection, for watch-latency")
	rate        = flag.Float64("rate", 100, "puts a second, for watch-latency")
)

const leaseSeconds = 3600

var leases []clientv3.LeaseID

// worker is one request in flight: it has an answer, and sends the next.
type worker struct {
	client    *clientv3.Client
	random    *rand.Rand
	latencies []time.Duration
	failed    int
}

// key is a number written out to the full length, so that keys are spread evenly and are as long as asked.
func key(number int) string { return fmt.Sprintf("%0*d", *keyBytes, number) }

func (w *worker) request(ctx context.Context, number int, value string) error {
	if *operation == "get" {
		_, err := w.client.Get(ctx, key(number))
		return err
	}
	if *operation == "lease-keepalive" {
		_, err := w.client.KeepAliveOnce(ctx, leases[number])
		return err
	}
	_, err := w.client.Put(ctx, key(number), value)
	return err
}

// takeLeases is not measured.
func takeLeases(clients []*clientv3.Client) {
	leases = make([]clientv3.LeaseID, *keys)
	var done sync.WaitGroup
	for c, client := range clients {
		done.Add(1)
		go func(c int, client *clientv3.Client) {
			defer done.Done()
			for i := c; i < len(leases); i += len(clients) {
				lease, err := client.Grant(context.Background(), leaseSeconds)
				if err != nil {
					fmt.Fprintln(os.Stderr, "etcd_load:", err)
					os.Exit(1)
				}
				leases[i] = lease.ID
			}
		}(c, client)
	}
	done.Wait()
}

func (w *worker) run(next func(*rand.Rand) (int, bool), value string) {
	for {
		number, more := next(w.random)
		if !more {
			return
		}
		begin := time.Now()
		if err := w.request(context.Background(), number, value); err != nil {
			w.failed++
		}
		w.latencies = append(w.latencies, time.Since(begin))
	}
}

// chooser says which key comes next, and when to end.
func chooser() func(*rand.Rand) (int, bool) {
	if *operation == "fill" {
		var taken int64
		return func(*rand.Rand) (int, bool) {
			number := int(atomic.AddInt64(&taken, 1)) - 1
			return number, number < *keys
		}
	}
	end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	return func(random *rand.Rand) (int, bool) { return random.Intn(*keys), time.Now().Before(end) }
}

func connect() []*clientv3.Client {
	addresses := strings.Split(*endpoints, ",")
	var clients []*clientv3.Client
	for c := 0; c < *connections; c++ {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{addresses[c%len(addresses)]}, DialTimeout: 5 * time.Second})
		if err != nil {
			fmt.Fprintln(os.Stderr, "etcd_load:", err)
			os.Exit(1)
		}
		clients = append(clients, client)
	}
	return clients
}

// closedLoop keeps so many requests in flight on each connection.
func closedLoop(clients []*clientv3.Client) ([]*worker, time.Duration) {
	value := strings.Repeat("v", *valueBytes)
	var workers []*worker
	for _, client := range clients {
		for i := 0; i < *inFlight; i++ {
			workers = append(workers, &worker{client: client, random: rand.New(rand.NewSource(int64(len(workers))))})
		}
	}
	next := chooser()
	begin := time.Now()
	var done sync.WaitGroup
	for _, w := range workers {
		done.Add(1)
		go func(w *worker) {
			defer done.Done()
			w.run(next, value)
		}(w)
	}
	done.Wait()
	return workers, time.Since(begin)
}

func report(workers []*worker, elapsed time.Duration) {
	var all []time.Duration
	failed := 0
	for _, w := range workers {
		all = append(all, w.latencies...)
		failed += w.failed
	}
	if len(all) == 0 {
		fmt.Fprintln(os.Stderr, "etcd_load: no request ended")
		os.Exit(1)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	quantile := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Nanoseconds()) / 1e3 }
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"op": *operation, "requests": len(all), "failed": failed, "per_second": float64(len(all)) / elapsed.Seconds(),
		"p50_us": quantile(0.5), "p99_us": quantile(0.99), "p999_us": quantile(0.999), "max_us": quantile(1),
	})
}

func main() {
	flag.Parse()
	clients := connect()
	if *operation == "watch-latency" {
		report(watchLatency(clients))
		return
	}
	if *operation == "lease-keepalive" {
		takeLeases(clients)
	}
	report(closedLoop(clients))
}
