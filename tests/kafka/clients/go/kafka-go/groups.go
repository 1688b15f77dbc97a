// Groups: resuming, rebalancing.
package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"runnel.dev/tests/kafka/program"
)

func (c *checks) member(group, topic string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.bootstrap}, GroupID: group,
		Topic: topic, StartOffset: kafka.FirstOffset, SessionTimeout: 6 * time.Second,
		HeartbeatInterval: 500 * time.Millisecond, MaxWait: 50 * time.Millisecond})
}

func (c *checks) groupResume() error {
	topic, err := c.filled("resume", 20)
	if err != nil {
		return err
	}
	first := c.member(c.prefix+"-resume", topic)
	got, err := take(first, 10)
	if err == nil {
		err = first.CommitMessages(limit(), got[9])
	}
	if err := errors.Join(err, first.Close()); err != nil {
		return err
	}
	second := c.member(c.prefix+"-resume", topic)
	defer second.Close()
	got, err = take(second, 10)
	if err != nil {
		return err
	}
	return program.Expect(texts(got), program.Values(10, 10), "values after the commit")
}

func (c *checks) groupRebalance() error {
	topic, err := c.topic("rebalance", 4)
	if err != nil {
		return err
	}
	fill := func(start int) error {
		for p := range 4 {
			if err := c.write(topic, compress.None,
				messages(p, program.Values(25, start+25*p))...); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(0); err != nil {
		return err
	}
	var lock sync.Mutex
	seen := map[string]bool{}
	counts := [2]int{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	start := func(number int) *kafka.Reader {
		reader := c.member(c.prefix+"-rebalance", topic)
		go func() {
			for {
				message, err := reader.FetchMessage(ctx)
				if err != nil {
					return
				}
				_ = reader.CommitMessages(ctx, message)
				lock.Lock()
				seen[string(message.Value)] = true
				counts[number]++
				lock.Unlock()
			}
		}()
		return reader
	}
	total := func(count int) func() (bool, error) {
		return func() (bool, error) {
			lock.Lock()
			defer lock.Unlock()
			return len(seen) >= count, nil
		}
	}
	first := start(0)
	defer first.Close()
	if err := program.WaitFor("first member reads", total(10)); err != nil {
		return err
	}
	second := start(1)
	defer second.Close()
	for round := 0; ; round++ {
		if err := fill(100 + 100*round); err != nil {
			return err
		}
		if err := program.WaitFor("everything is read", total(200+100*round)); err != nil {
			return err
		}
		lock.Lock()
		both := counts[1] > 0
		lock.Unlock()
		if both {
			return nil
		}
		if round > 200 {
			return errors.New("the second member was given nothing")
		}
		time.Sleep(100 * time.Millisecond)
	}
}
