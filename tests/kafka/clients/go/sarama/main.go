// IBM's sarama.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"runnel.dev/tests/kafka/program"
)

type checks struct {
	bootstrap, prefix string
	admin             sarama.ClusterAdmin
	hourAgo           time.Time
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = program.LargeLimit
	config.Consumer.Fetch.Default = program.LargeLimit
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	return config
}

func (c *checks) topic(name string, partitions int32, config ...string) (string, error) {
	entries := map[string]*string{}
	for i := 0; i < len(config); i += 2 {
		entries[config[i]] = &config[i+1]
	}
	topic := c.prefix + "-" + name
	if err := c.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions,
		ReplicationFactor: 1, ConfigEntries: entries}, false); err != nil {
		return topic, err
	}
	// A broker may answer before it knows the topic itself.
	return topic, program.WaitFor("the new topic", func() (bool, error) {
		count, err := c.partitions(topic)
		return count == int(partitions), err
	})
}

func (c *checks) send(config *sarama.Config, messages ...*sarama.ProducerMessage) error {
	producer, err := sarama.NewSyncProducer([]string{c.bootstrap}, config)
	if err != nil {
		return err
	}
	return errors.Join(producer.SendMessages(messages), producer.Close())
}

func messages(topic string, partition int32, values []string) []*sarama.ProducerMessage {
	var all []*sarama.ProducerMessage
	for _, value := range values {
		all = append(all, &sarama.ProducerMessage{Topic: topic, Partition: partition,
			Value: sarama.StringEncoder(value)})
	}
	return all
}

func (c *checks) read(config *sarama.Config, topic string, offset int64, count int) (
	[]*sarama.ConsumerMessage, error) {
	consumer, err := sarama.NewConsumer([]string{c.bootstrap}, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(topic, 0, offset)
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	var taken []*sarama.ConsumerMessage
	for end := time.After(program.Patience); len(taken) < count; {
		select {
		case message := <-partition.Messages():
			taken = append(taken, message)
		case <-end:
			return nil, fmt.Errorf("%d of %d records read", len(taken), count)
		}
	}
	return taken, nil
}

func (c *checks) readBack(config *sarama.Config, topic string, offset int64,
	wanted []string) error {
	got, err := c.read(config, topic, offset, len(wanted))
	if err != nil {
		return err
	}
	values := []string{}
	for _, message := range got {
		values = append(values, string(message.Value))
	}
	return program.Expect(values, wanted, "values")
}

func (c *checks) filled(name string, count int) (string, error) {
	topic, err := c.topic(name, 1)
	if err != nil {
		return "", err
	}
	return topic, c.send(settings(), messages(topic, 0, program.Values(count, 0))...)
}

func (c *checks) codec(name string, codec sarama.CompressionCodec) program.Check {
	return func() error {
		topic, err := c.topic(name, 1)
		if err != nil {
			return err
		}
		config := settings()
		config.Producer.Compression = codec
		if err := c.send(config, messages(topic, 0, program.Values(100, 0))...); err != nil {
			return err
		}
		return c.readBack(settings(), topic, 0, program.Values(100, 0))
	}
}

func (c *checks) headers() error {
	topic, err := c.topic("headers", 1)
	if err != nil {
		return err
	}
	sent := []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("1")},
		{Key: []byte("b"), Value: []byte{0, 255}}, {Key: []byte("a"), Value: []byte("2")},
		{Key: []byte("empty"), Value: []byte{}}}
	if err := c.send(settings(), &sarama.ProducerMessage{Topic: topic, Headers: sent,
		Value: sarama.StringEncoder("x")}); err != nil {
		return err
	}
	records, err := c.read(settings(), topic, 0, 1)
	if err != nil {
		return err
	}
	var got []sarama.RecordHeader
	for _, header := range records[0].Headers {
		got = append(got, *header)
	}
	return program.Expect(fmt.Sprint(got), fmt.Sprint(sent), "headers")
}

func (c *checks) nulls() error {
	topic, err := c.topic("nulls", 1)
	if err != nil {
		return err
	}
	sent := []*sarama.ProducerMessage{{Topic: topic},
		{Topic: topic, Key: sarama.StringEncoder(""), Value: sarama.StringEncoder("")},
		{Topic: topic, Key: sarama.StringEncoder("k")},
		{Topic: topic, Value: sarama.StringEncoder("v")}}
	if err := c.send(settings(), sent...); err != nil {
		return err
	}
	got, err := c.read(settings(), topic, 0, len(sent))
	if err != nil {
		return err
	}
	for i, message := range got {
		if (message.Key == nil) != (sent[i].Key == nil) ||
			(message.Value == nil) != (sent[i].Value == nil) {
			return fmt.Errorf("record %d: key %v, value %v", i, message.Key, message.Value)
		}
	}
	return nil
}

func (c *checks) timestamps() error {
	topic, err := c.topic("timestamps", 1)
	if err != nil {
		return err
	}
	if err := c.send(settings(), &sarama.ProducerMessage{Topic: topic, Timestamp: c.hourAgo,
		Value: sarama.StringEncoder("x")}); err != nil {
		return err
	}
	got, err := c.read(settings(), topic, 0, 1)
	if err != nil {
		return err
	}
	return program.Expect(got[0].Timestamp.UnixMilli(), c.hourAgo.UnixMilli(), "timestamp")
}

func (c *checks) sizes() error {
	topic, err := c.topic("sizes", 1, "max.message.bytes", strconv.Itoa(program.LargeLimit))
	if err != nil {
		return err
	}
	for _, size := range program.Sizes {
		if err := c.send(settings(), &sarama.ProducerMessage{Topic: topic,
			Value: sarama.ByteEncoder(program.ValueOfSize(size))}); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	got, err := c.read(settings(), topic, 0, len(program.Sizes))
	if err != nil {
		return err
	}
	for i, size := range program.Sizes {
		if string(got[i].Value) != string(program.ValueOfSize(size)) {
			return fmt.Errorf("value of %d bytes came back different", size)
		}
	}
	return nil
}

func (c *checks) tooLarge() error {
	topic, err := c.topic("too-large", 1, "max.message.bytes", "1000000")
	if err != nil {
		return err
	}
	err = c.send(settings(), &sarama.ProducerMessage{Topic: topic,
		Value: sarama.ByteEncoder(program.ValueOfSize(2_000_000))})
	var each sarama.ProducerErrors
	if errors.As(err, &each) && errors.Is(each[0].Err, sarama.ErrMessageSizeTooLarge) {
		return nil
	}
	return fmt.Errorf("2 MB: %v, expected MESSAGE_TOO_LARGE", err)
}

func (c *checks) offset(topic string, time int64) (int64, error) {
	client, err := sarama.NewClient([]string{c.bootstrap}, settings())
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.GetOffset(topic, 0, time)
}

func (c *checks) seekTime() error {
	topic, err := c.topic("seek-time", 1)
	if err != nil {
		return err
	}
	for i := range 10 {
		if err := c.send(settings(), &sarama.ProducerMessage{Topic: topic,
			Value:     sarama.StringEncoder(program.Value(i)),
			Timestamp: c.hourAgo.Add(time.Duration(i) * time.Second)}); err != nil {
			return err
		}
	}
	offset, err := c.offset(topic, c.hourAgo.UnixMilli()+4500)
	if err != nil {
		return err
	}
	if err := program.Expect(offset, int64(5), "offset of the time"); err != nil {
		return err
	}
	return c.readBack(settings(), topic, offset, program.Values(5, 5))
}

func (c *checks) watermarks() error {
	topic, err := c.filled("watermarks", 7)
	if err != nil {
		return err
	}
	first, err := c.offset(topic, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	next, err := c.offset(topic, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	return program.Expect([]int64{first, next}, []int64{0, 7}, "watermarks")
}

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

func (c *checks) adminCreate() error {
	if _, err := c.topic("admin-create", 3); err != nil {
		return err
	}
	if _, err := c.topic("admin-create", 3); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("the second time: %v", err)
	}
	return nil
}

func (c *checks) partitions(topic string) (int, error) {
	found, err := c.admin.DescribeTopics([]string{topic})
	if err != nil {
		return 0, err
	}
	for _, partition := range found[0].Partitions {
		if partition.Leader != 1 {
			return 0, fmt.Errorf("leader %d", partition.Leader)
		}
	}
	return len(found[0].Partitions), nil
}

func (c *checks) adminDescribe() error {
	topic, err := c.topic("admin-describe", 3)
	if err != nil {
		return err
	}
	count, err := c.partitions(topic)
	if err != nil {
		return err
	}
	return program.Expect(count, 3, "partitions")
}

func (c *checks) adminAddPartitions() error {
	topic, err := c.topic("admin-add", 3)
	if err != nil {
		return err
	}
	if err := c.admin.CreatePartitions(topic, 5, nil, false); err != nil {
		return err
	}
	return program.WaitFor("five partitions", func() (bool, error) {
		count, err := c.partitions(topic)
		return count == 5, err
	})
}

func (c *checks) adminDelete() error {
	topic, err := c.topic("admin-delete", 1)
	if err != nil {
		return err
	}
	if err := c.admin.DeleteTopic(topic); err != nil {
		return err
	}
	found, err := c.admin.DescribeTopics([]string{topic})
	if err != nil {
		return err
	}
	return program.Expect(found[0].Err, sarama.ErrUnknownTopicOrPartition, "described afterwards")
}

func (c *checks) retention(topic string) (string, error) {
	found, err := c.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource,
		Name: topic, ConfigNames: []string{"retention.ms"}})
	if err != nil {
		return "", err
	}
	return found[0].Value + " " + found[0].Source.String(), nil
}

func (c *checks) adminConfigs() error {
	topic, err := c.topic("admin-configs", 1)
	if err != nil {
		return err
	}
	// A broker may answer CreateTopics before it knows the topic itself.
	if err := program.WaitFor("the default", func() (bool, error) {
		before, err := c.retention(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return false, nil
		}
		return before == "604800000 Default", err
	}); err != nil {
		return err
	}
	value := "3600000"
	if err := c.admin.IncrementalAlterConfig(sarama.TopicResource, topic,
		map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {
			Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}},
		false); err != nil {
		return err
	}
	return program.WaitFor("the new value", func() (bool, error) {
		after, err := c.retention(topic)
		return after == "3600000 Topic", err
	})
}

func (c *checks) adminDeleteRecords() error {
	topic, err := c.filled("admin-records", 10)
	if err != nil {
		return err
	}
	if err := c.admin.DeleteRecords(topic, map[int32]int64{0: 4}); err != nil {
		return err
	}
	return c.readBack(settings(), topic, sarama.OffsetOldest, program.Values(6, 4))
}

func (c *checks) adminGroups() error {
	topic, err := c.filled("admin-groups", 3)
	if err != nil {
		return err
	}
	group := c.prefix + "-admin-groups"
	if _, err := c.readAs(group, topic, 3); err != nil {
		return err
	}
	listed, err := c.admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	if err := program.Expect(listed[group], "consumer", "listed as"); err != nil {
		return err
	}
	described, err := c.admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return err
	}
	if err := program.Expect(described[0].State, "Empty", "state"); err != nil {
		return err
	}
	offsets, err := c.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	if err != nil {
		return err
	}
	if err := program.Expect(offsets.GetBlock(topic, 0).Offset, int64(3), "offset"); err != nil {
		return err
	}
	return c.admin.DeleteConsumerGroup(group)
}

func main() {
	c := &checks{bootstrap: os.Args[1], prefix: os.Args[2],
		hourAgo: time.Now().Add(-time.Hour).Truncate(time.Millisecond)}
	var err error
	if c.admin, err = sarama.NewClusterAdmin([]string{c.bootstrap}, settings()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program.Main("sarama "+program.Version("github.com/IBM/sarama"), map[string]program.Check{
		"produce_none":   c.codec("none", sarama.CompressionNone),
		"produce_gzip":   c.codec("gzip", sarama.CompressionGZIP),
		"produce_snappy": c.codec("snappy", sarama.CompressionSnappy),
		"produce_lz4":    c.codec("lz4", sarama.CompressionLZ4),
		"produce_zstd":   c.codec("zstd", sarama.CompressionZSTD),
		"headers":        c.headers, "nulls": c.nulls, "timestamps": c.timestamps,
		"sizes": c.sizes, "too_large": c.tooLarge, "seek_time": c.seekTime,
		"watermarks": c.watermarks, "group_resume": c.groupResume,
		"group_rebalance": c.groupRebalance, "idempotent_kill": c.idempotentKill,
		"transaction_commit": c.transactionCommit, "transaction_abort": c.transactionAbort,
		"transaction_offsets":   c.transactionOffsets,
		"transaction_transform": c.transactionTransform, "admin_create": c.adminCreate,
		"admin_describe": c.adminDescribe, "admin_add_partitions": c.adminAddPartitions,
		"admin_delete": c.adminDelete, "admin_configs": c.adminConfigs,
		"admin_delete_records": c.adminDeleteRecords, "admin_groups": c.adminGroups,
	})
}
