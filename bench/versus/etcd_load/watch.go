package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const watched = "watched"

// How long the last event may take behind the last put.
const lastEvent = 30 * time.Second

// schedule is when each put is due; its value is its number.
type schedule struct {
	begin time.Time
	total int
}

func (s schedule) due(number int) time.Time {
	return s.begin.Add(time.Duration(float64(number) / *rate * float64(time.Second)))
}

// follow takes events until all have come, and how long each took since its put was due.
func (w *worker) follow(events clientv3.WatchChan, puts *atomic.Value) {
	for response := range events {
		now := time.Now()
		for _, event := range response.Events {
			plan := puts.Load().(schedule)
			number, err := strconv.Atoi(string(event.Kv.Value))
			if err != nil || number >= plan.total {
				w.failed++
				continue
			}
			w.latencies = append(w.latencies, now.Sub(plan.due(number)))
			if number == plan.total-1 {
				return
			}
		}
	}
}

// watchLatency watches one key many times and puts it at fixed times, whatever the cluster does. The put that comes last
// ends a watch: puts are given to one connection, in order, each after the one before was answered or failed.
func watchLatency(clients []*clientv3.Client) ([]*worker, time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var plan atomic.Value
	var workers []*worker
	var done sync.WaitGroup
	for _, client := range clients {
		for i := 0; i < *watches; i++ {
			w := &worker{client: client}
			workers = append(workers, w)
			events := client.Watch(ctx, watched, clientv3.WithCreatedNotify())
			if created := <-events; !created.Created {
				fmt.Fprintln(os.Stderr, "etcd_load: a watch was not made")
				os.Exit(1)
			}
			done.Add(1)
			go func() {
				defer done.Done()
				w.follow(events, &plan)
			}()
		}
	}
	puts := schedule{begin: time.Now().Add(100 * time.Millisecond), total: int(*rate * *seconds)}
	plan.Store(puts)
	for number := 0; number < puts.total; number++ {
		time.Sleep(time.Until(puts.due(number)))
		if _, err := clients[0].Put(ctx, watched, fmt.Sprintf("%0*d", *valueBytes, number)); err != nil {
			fmt.Fprintln(os.Stderr, "etcd_load:", err)
			os.Exit(1)
		}
	}
	time.AfterFunc(lastEvent, cancel)
	done.Wait()
	return workers, time.Since(puts.begin)
}
