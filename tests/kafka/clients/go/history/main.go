// Numbered records with franz-go; clients/history/history.py describes call, values and lines.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	burst     = 10
	pause     = 50 * time.Millisecond
	records   = 6
	abortEach = 5
	patience  = 120 * time.Second
)

var output sync.Mutex

func tell(line any) {
	output.Lock()
	defer output.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func fail(err error) {
	tell(map[string]string{"error": err.Error()})
	os.Exit(1)
}

func valueOf(writer string, number int) []byte {
	letter := []byte{byte('a' + number%26)}
	return append([]byte(fmt.Sprintf("%s:%d:", writer, number)),
		bytes.Repeat(letter, number*37%1000)...)
}

type writer struct {
	client     *kgo.Client
	topic      string
	name       string
	partitions int
	stopped    chan struct{}
}

func (w *writer) record(number, partition int) *kgo.Record {
	return &kgo.Record{Topic: w.topic, Partition: int32(partition % w.partitions),
		Value: valueOf(w.name, number)}
}

func (w *writer) over() bool {
	select {
	case <-w.stopped:
		return true
	case <-time.After(pause):
		return false
	}
}

func (w *writer) run() {
	number := 0
	for !w.over() {
		for range burst {
			w.client.Produce(context.Background(), w.record(number, number),
				func(_ *kgo.Record, err error) {
					if err != nil {
						fail(fmt.Errorf("delivery: %w", err))
					}
				})
			number++
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.client.Flush(ctx); err != nil {
		fail(err)
	}
	tell(map[string]int{"written": number})
}

func (w *writer) runTransactions() {
	outcomes := map[string][]int{"committed": {}, "unknown": {}, "aborted": {}}
	for transaction := 0; !w.over(); transaction++ {
		outcome := w.transact(transaction)
		outcomes[outcome] = append(outcomes[outcome], transaction)
	}
	tell(outcomes)
}

// transact says what became of the transaction. A commit that the connection broke is unknown to
// this client: it aborts what may be left of it.
func (w *writer) transact(transaction int) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.client.BeginTransaction(); err != nil {
		fail(fmt.Errorf("begin: %w", err))
	}
	all := []*kgo.Record{}
	for i := range records {
		all = append(all, w.record(records*transaction+i, transaction+i))
	}
	outcome := "aborted"
	sent := w.client.ProduceSync(ctx, all...).FirstErr()
	if sent == nil && transaction%abortEach != abortEach-1 {
		err := w.client.EndTransaction(ctx, kgo.TryCommit)
		if err == nil {
			return "committed"
		}
		if !errors.Is(err, kerr.OperationNotAttempted) && !errors.Is(err, kerr.TransactionAbortable) {
			outcome = "unknown"
		}
	}
	if err := w.client.AbortBufferedRecords(ctx); err != nil {
		fail(fmt.Errorf("abort buffered: %w", err))
	}
	// A connection that is refused is an error at once, though the broker is back soon.
	for err := w.client.EndTransaction(ctx, kgo.TryAbort); err != nil; {
		if ctx.Err() != nil || errors.Is(err, kerr.ProducerFenced) {
			fail(fmt.Errorf("abort of %d: %w", transaction, err))
		}
		time.Sleep(pause)
		err = w.client.EndTransaction(ctx, kgo.TryAbort)
	}
	return outcome
}

func write(bootstrap, topic, partitions, name, mode string) {
	count, err := strconv.Atoi(partitions)
	if err != nil {
		fail(err)
	}
	options := []kgo.Opt{kgo.SeedBrokers(bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5 * time.Millisecond)}
	if mode == "transactional" {
		options = append(options, kgo.TransactionalID("history-"+name),
			kgo.TransactionTimeout(patience))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		fail(err)
	}
	w := &writer{client, topic, name, count, make(chan struct{})}
	go func() {
		_, _ = io.ReadAll(os.Stdin)
		close(w.stopped)
	}()
	if mode == "transactional" {
		w.runTransactions()
	} else {
		w.run()
	}
}

func read(bootstrap, topic, group, isolation string) {
	level := kgo.ReadUncommitted()
	if isolation == "read_committed" {
		level = kgo.ReadCommitted()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(level), kgo.SessionTimeout(30*time.Second),
		kgo.AutoCommitInterval(500*time.Millisecond), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		fail(err)
	}
	go func() {
		for {
			client.PollFetches(context.Background()).EachRecord(look)
		}
	}()
	_, _ = io.ReadAll(os.Stdin)
}

func look(record *kgo.Record) {
	parts := bytes.SplitN(record.Value, []byte(":"), 3)
	number := -1
	if len(parts) == 3 {
		number, _ = strconv.Atoi(string(parts[1]))
	}
	if number < 0 || !bytes.Equal(record.Value, valueOf(string(parts[0]), number)) {
		fail(fmt.Errorf("torn at %d/%d: %.80s", record.Partition, record.Offset, record.Value))
	}
	tell([]any{record.Partition, record.Offset, string(parts[0]) + ":" + string(parts[1])})
}

func main() {
	a := os.Args[2:]
	if os.Args[1] == "read" {
		read(a[0], a[1], a[2], a[3])
	} else {
		write(a[0], a[1], a[2], a[3], a[4])
	}
}
