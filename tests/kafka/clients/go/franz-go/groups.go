// Groups: resuming, rebalancing.
package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"runnel.dev/tests/kafka/program"
)

func (c *checks) groupResume() error {
	topic, err := c.filled("resume", 20)
	if err != nil {
		return err
	}
	member := func() *kgo.Client {
		return c.open(kgo.ConsumerGroup(c.prefix+"-resume"), kgo.DisableAutoCommit(),
			kgo.ConsumeTopics(topic))
	}
	first := member()
	records, err := take(first, 10)
	if err == nil {
		err = first.CommitRecords(limit(), records[9])
	}
	first.Close()
	if err != nil {
		return err
	}
	second := member()
	defer second.Close()
	records, err = take(second, 10)
	if err != nil {
		return err
	}
	return program.Expect(texts(records), program.Values(10, 10), "values after the commit")
}

func (c *checks) groupRebalance() error {
	topic, err := c.topic("rebalance", 4)
	if err != nil {
		return err
	}
	for p := range 4 {
		if err := send(c.client, topic, int32(p), program.Values(25, 25*p)); err != nil {
			return err
		}
	}
	group := c.prefix + "-rebalance"
	seen := map[string]bool{}
	poll := func(client *kgo.Client) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
	}
	owned := func(group string) (int, error) {
		described, err := c.admin.DescribeGroups(limit(), group)
		if err != nil {
			return 0, err
		}
		members := 0
		for _, member := range described[group].Members {
			if assigned, ok := member.Assigned.AsConsumer(); ok {
				for _, each := range assigned.Topics {
					if len(each.Partitions) == 2 {
						members++
					}
				}
			}
		}
		return members, nil
	}
	first := c.open(kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.ConsumeTopics(topic))
	defer first.Close()
	if err := program.WaitFor("first member reads", func() (bool, error) {
		poll(first)
		return len(seen) >= 10, nil
	}); err != nil {
		return err
	}
	second := c.open(kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.ConsumeTopics(topic))
	defer second.Close()
	if err := program.WaitFor("two partitions each", func() (bool, error) {
		poll(first)
		poll(second)
		members, err := owned(group)
		return members == 2, err
	}); err != nil {
		return err
	}
	for p := range 4 {
		if err := send(c.client, topic, int32(p), program.Values(25, 100+25*p)); err != nil {
			return err
		}
	}
	if err := program.WaitFor("all 200 values are read", func() (bool, error) {
		poll(first)
		poll(second)
		return len(seen) == 200, nil
	}); err != nil {
		return err
	}
	for _, member := range []*kgo.Client{first, second} {
		if err := member.CommitUncommittedOffsets(limit()); err != nil {
			return err
		}
	}
	found, err := c.admin.FetchOffsets(limit(), group)
	if err != nil {
		return err
	}
	for p := range int32(4) {
		offset, _ := found.Lookup(topic, p)
		if err := program.Expect(offset.At, int64(50), "committed"); err != nil {
			return err
		}
	}
	return nil
}
