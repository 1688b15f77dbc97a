// Groups: resuming, rebalancing.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"runnel.dev/tests/kafka/program"
)

// member reads in the background and marks up to `most` records.
type member struct {
	group  sarama.ConsumerGroup
	cancel context.CancelFunc
	done   chan struct{}
	lock   sync.Mutex
	values map[string]bool
	owned  int
	most   int
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.owned = 0
	for _, partitions := range session.Claims() {
		m.owned += len(partitions)
	}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession,
	claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.lock.Lock()
		wanted := len(m.values) < m.most
		if wanted {
			m.values[string(message.Value)] = true
		}
		m.lock.Unlock()
		if wanted {
			session.MarkMessage(message, "")
		}
	}
	return nil
}

func (m *member) count() (values, owned int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.values), m.owned
}

func (m *member) stop() error {
	m.cancel()
	<-m.done
	return m.group.Close()
}

func (c *checks) join(group, topic string, most int) (*member, error) {
	joined, err := sarama.NewConsumerGroup([]string{c.bootstrap}, group, settings())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: joined, cancel: cancel, done: make(chan struct{}),
		values: map[string]bool{}, most: most}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if joined.Consume(ctx, []string{topic}, m) != nil {
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return m, nil
}

// readAs has a member read `count` values and leave.
func (c *checks) readAs(group, topic string, count int) (map[string]bool, error) {
	m, err := c.join(group, topic, count)
	if err != nil {
		return nil, err
	}
	err = program.WaitFor(fmt.Sprint(count, " values are read"), func() (bool, error) {
		values, _ := m.count()
		return values == count, nil
	})
	return m.values, errors.Join(err, m.stop())
}

func (c *checks) groupResume() error {
	topic, err := c.filled("resume", 20)
	if err != nil {
		return err
	}
	for _, start := range []int{0, 10} {
		got, err := c.readAs(c.prefix+"-resume", topic, 10)
		if err != nil {
			return err
		}
		wanted := map[string]bool{}
		for _, value := range program.Values(10, start) {
			wanted[value] = true
		}
		if err := program.Expect(got, wanted, "values"); err != nil {
			return err
		}
	}
	return nil
}

func (c *checks) groupRebalance() error {
	topic, err := c.topic("rebalance", 4)
	if err != nil {
		return err
	}
	group := c.prefix + "-rebalance"
	fill := func(start int) error {
		for p := range 4 {
			if err := c.send(settings(),
				messages(topic, int32(p), program.Values(25, start+25*p))...); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(0); err != nil {
		return err
	}
	first, err := c.join(group, topic, 1000)
	if err != nil {
		return err
	}
	defer first.stop()
	if err := program.WaitFor("first member reads", func() (bool, error) {
		values, _ := first.count()
		return values >= 10, nil
	}); err != nil {
		return err
	}
	second, err := c.join(group, topic, 1000)
	if err != nil {
		return err
	}
	if err := program.WaitFor("two partitions each", func() (bool, error) {
		_, one := first.count()
		_, other := second.count()
		return one == 2 && other == 2, nil
	}); err != nil {
		return errors.Join(err, second.stop())
	}
	if err := fill(100); err != nil {
		return err
	}
	if err := program.WaitFor("all 200 values are read", func() (bool, error) {
		first.lock.Lock()
		defer first.lock.Unlock()
		second.lock.Lock()
		defer second.lock.Unlock()
		all := map[string]bool{}
		for _, values := range []map[string]bool{first.values, second.values} {
			for value := range values {
				all[value] = true
			}
		}
		return len(all) == 200, nil
	}); err != nil {
		return errors.Join(err, second.stop())
	}
	if err := second.stop(); err != nil {
		return err
	}
	return program.WaitFor("the rest gets everything", func() (bool, error) {
		_, owned := first.count()
		return owned == 4, nil
	})
}
