// Idempotence and transactions.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"runnel.dev/tests/kafka/program"
)

func (c *checks) idempotentKill() error {
	topic, err := c.topic("idempotent", 1)
	if err != nil {
		return err
	}
	killed := make(chan struct{})
	results := make(chan error, 100_000)
	sent, over := 0, false
	for sent < 300 || !over {
		if sent == 100 {
			go func() {
				program.KillBroker()
				close(killed)
			}()
		}
		c.client.Produce(context.Background(),
			&kgo.Record{Topic: topic, Value: []byte(program.Value(sent))},
			func(_ *kgo.Record, err error) { results <- err })
		sent++
		select {
		case <-killed:
			over = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := c.client.Flush(limit()); err != nil {
		return err
	}
	for range sent {
		if err := <-results; err != nil {
			return err
		}
	}
	if err := c.readBack(topic, 0, program.Values(sent, 0)); err != nil {
		return err
	}
	next, err := c.admin.ListEndOffsets(limit(), topic)
	if err != nil {
		return err
	}
	high, _ := next.Lookup(topic, 0)
	return program.Expect(high.Offset, int64(sent), "records in the partition")
}

func (c *checks) transactional(name string) *kgo.Client {
	return c.open(kgo.TransactionalID(c.prefix + "-" + name))
}

// inTransaction sends the values in one transaction.
func inTransaction(client *kgo.Client, topic string, values []string, end kgo.TransactionEndTry,
) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	if err := send(client, topic, 0, values); err != nil {
		return err
	}
	return client.EndTransaction(limit(), end)
}

func (c *checks) transactionCommit() error {
	topic, err := c.topic("commit", 1)
	if err != nil {
		return err
	}
	client := c.transactional("commit")
	defer client.Close()
	if err := inTransaction(client, topic, program.Values(10, 0), kgo.TryCommit); err != nil {
		return err
	}
	return c.readBack(topic, 0, program.Values(10, 0), committed)
}

func (c *checks) transactionAbort() error {
	topic, err := c.topic("abort", 1)
	if err != nil {
		return err
	}
	client := c.transactional("abort")
	defer client.Close()
	if err := inTransaction(client, topic, program.Values(10, 0), kgo.TryAbort); err != nil {
		return err
	}
	if err := inTransaction(client, topic, program.Values(10, 10), kgo.TryCommit); err != nil {
		return err
	}
	if err := c.readBack(topic, 0, program.Values(10, 10), committed); err != nil {
		return err
	}
	return c.readBack(topic, 0, program.Values(20, 0))
}

func (c *checks) transactionOffsets() error {
	topic, err := c.filled("txn-in", 10)
	if err != nil {
		return err
	}
	group := c.prefix + "-txn-offsets"
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(c.bootstrap),
		kgo.TransactionalID(c.prefix+"-offsets"), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets())
	if err != nil {
		return err
	}
	defer session.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := session.Begin(); err != nil {
			return err
		}
		for ctx, taken := limit(), 0; taken < 10; {
			fetches := session.PollFetches(ctx)
			for _, each := range fetches.Errors() {
				return each.Err
			}
			taken += fetches.NumRecords()
		}
		if _, err := session.End(limit(), end); err != nil {
			return err
		}
		// The markers of a commit may come after its answer; those of an abort change nothing.
		if err := program.WaitFor("the group's offset", func() (bool, error) {
			found, err := c.admin.FetchOffsets(limit(), group)
			_, there := found.Lookup(topic, 0)
			return there == (end == kgo.TryCommit), err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *checks) transactionTransform() error {
	source, err := c.filled("transform-in", 10)
	if err != nil {
		return err
	}
	target, err := c.topic("transform-out", 1)
	if err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(c.bootstrap),
		kgo.TransactionalID(c.prefix+"-transform"), kgo.ConsumerGroup(c.prefix+"-transform"),
		kgo.ConsumeTopics(source), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets())
	if err != nil {
		return err
	}
	defer session.Close()
	// Each round takes five; what an abort gives back is taken again.
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryCommit} {
		if err := session.Begin(); err != nil {
			return err
		}
		ctx := limit()
		for taken := 0; taken < 5; {
			fetches := session.PollRecords(ctx, 5-taken)
			for _, each := range fetches.Errors() {
				return each.Err
			}
			for _, record := range fetches.Records() {
				session.Produce(ctx, &kgo.Record{Topic: target, Value: record.Value}, nil)
			}
			taken += fetches.NumRecords()
		}
		if err := session.Client().Flush(ctx); err != nil {
			return err
		}
		if ended, err := session.End(limit(), end); err != nil || ended != bool(end) {
			return fmt.Errorf("end %v: %v, %w", end, ended, err)
		}
	}
	if err := c.readBack(target, 0, program.Values(10, 0), committed); err != nil {
		return err
	}
	return c.readBack(target, 0, append(program.Values(5, 0), program.Values(10, 0)...))
}

func (c *checks) transactionFencing() error {
	topic, err := c.topic("fencing", 1)
	if err != nil {
		return err
	}
	old, current := c.transactional("fencing"), c.transactional("fencing")
	defer old.Close()
	defer current.Close()
	if err := old.BeginTransaction(); err != nil {
		return err
	}
	if err := send(old, topic, 0, []string{"old"}); err != nil {
		return err
	}
	if err := inTransaction(current, topic, []string{"new"}, kgo.TryCommit); err != nil {
		return err
	}
	err = send(old, topic, 0, []string{"late"})
	if err == nil {
		err = old.EndTransaction(limit(), kgo.TryCommit)
	}
	if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
		return fmt.Errorf("the fenced producer got: %v", err)
	}
	return c.readBack(topic, 0, []string{"new"}, committed)
}
