// Idempotence and transactions.
package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"runnel.dev/tests/kafka/program"
)

func (c *checks) idempotentKill() error {
	topic, err := c.topic("idempotent", 1)
	if err != nil {
		return err
	}
	config := settings()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Retry.Max = 400
	config.Metadata.Retry.Max = 400
	producer, err := sarama.NewAsyncProducer([]string{c.bootstrap}, config)
	if err != nil {
		return err
	}
	killed := make(chan struct{})
	outcomes := make(chan error, 100_000)
	go func() {
		for range producer.Successes() {
			outcomes <- nil
		}
	}()
	go func() {
		for each := range producer.Errors() {
			outcomes <- each
		}
	}()
	sent, over := 0, false
	for sent < 300 || !over {
		if sent == 100 {
			go func() {
				program.KillBroker()
				close(killed)
			}()
		}
		producer.Input() <- messages(topic, 0, program.Values(1, sent))[0]
		sent++
		select {
		case <-killed:
			over = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	// Closing gives up what is being retried, so it waits for all of them.
	for range sent {
		select {
		case err = <-outcomes:
		case <-time.After(program.Patience):
			err = errors.New("a record was neither acknowledged nor refused")
		}
		if err != nil {
			return err
		}
	}
	producer.AsyncClose()
	if err := c.readBack(settings(), topic, 0, program.Values(sent, 0)); err != nil {
		return err
	}
	high, err := c.offset(topic, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	return program.Expect(high, int64(sent), "records in the partition")
}

func (c *checks) transactional(name string) (sarama.SyncProducer, error) {
	config := settings()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = c.prefix + "-" + name
	return sarama.NewSyncProducer([]string{c.bootstrap}, config)
}

func readCommitted() *sarama.Config {
	config := settings()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	return config
}

func inTransaction(producer sarama.SyncProducer, topic string, values []string,
	end func() error) error {
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	if err := producer.SendMessages(messages(topic, 0, values)); err != nil {
		return err
	}
	return end()
}

func (c *checks) transactionCommit() error {
	topic, err := c.topic("commit", 1)
	if err != nil {
		return err
	}
	producer, err := c.transactional("commit")
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := inTransaction(producer, topic, program.Values(10, 0),
		producer.CommitTxn); err != nil {
		return err
	}
	return c.readBack(readCommitted(), topic, 0, program.Values(10, 0))
}

func (c *checks) transactionAbort() error {
	topic, err := c.topic("abort", 1)
	if err != nil {
		return err
	}
	producer, err := c.transactional("abort")
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := inTransaction(producer, topic, program.Values(10, 0),
		producer.AbortTxn); err != nil {
		return err
	}
	if err := inTransaction(producer, topic, program.Values(10, 10),
		producer.CommitTxn); err != nil {
		return err
	}
	if err := c.readBack(readCommitted(), topic, 0, program.Values(10, 10)); err != nil {
		return err
	}
	return c.readBack(settings(), topic, 0, program.Values(20, 0))
}

func (c *checks) transactionOffsets() error {
	topic, err := c.filled("txn-in", 10)
	if err != nil {
		return err
	}
	group := c.prefix + "-txn-offsets"
	producer, err := c.transactional("offsets")
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, step := range []struct {
		offset int64
		end    func() error
	}{{5, producer.CommitTxn}, {8, producer.AbortTxn}} {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		if err := producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{
			topic: {{Partition: 0, Offset: step.offset}}}, group); err != nil {
			return err
		}
		if err := step.end(); err != nil {
			return err
		}
		// The markers of a commit may come after its answer.
		if err := program.WaitFor(fmt.Sprint("offset 5 after offering ", step.offset),
			func() (bool, error) {
				found, err := c.admin.ListConsumerGroupOffsets(group,
					map[string][]int32{topic: {0}})
				return err == nil && found.GetBlock(topic, 0).Offset == 5, err
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
	group := c.prefix + "-transform"
	producer, err := c.transactional("transform")
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, step := range []struct {
		offset int64
		end    func() error
	}{{0, producer.AbortTxn}, {0, producer.CommitTxn}, {5, producer.CommitTxn}} {
		// The markers of a commit may come after its answer.
		if err := program.WaitFor(fmt.Sprint("committed offset ", step.offset),
			func() (bool, error) {
				found, err := c.admin.ListConsumerGroupOffsets(group,
					map[string][]int32{source: {0}})
				return err == nil && max(found.GetBlock(source, 0).Offset, 0) == step.offset, err
			}); err != nil {
			return err
		}
		taken, err := c.read(readCommitted(), source, step.offset, 5)
		if err != nil {
			return err
		}
		var values []string
		for _, message := range taken[:5] {
			values = append(values, string(message.Value))
		}
		if err := inTransaction(producer, target, values, func() error {
			if err := producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{
				source: {{Partition: 0, Offset: step.offset + 5}}}, group); err != nil {
				return err
			}
			return step.end()
		}); err != nil {
			return err
		}
	}
	if err := c.readBack(readCommitted(), target, 0, program.Values(10, 0)); err != nil {
		return err
	}
	return c.readBack(settings(), target, 0, append(program.Values(5, 0), program.Values(10, 0)...))
}
