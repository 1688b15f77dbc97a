// franz-go, with its admin client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"runnel.dev/tests/kafka/program"
)

type checks struct {
	bootstrap, prefix string
	client            *kgo.Client
	admin             *kadm.Client
	hourAgo           time.Time
}

func limit() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), program.Patience)
	time.AfterFunc(program.Patience+time.Second, cancel)
	return ctx
}

func (c *checks) open(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(program.LargeLimit),
		kgo.BrokerMaxWriteBytes(2 * program.LargeLimit),
		kgo.FetchMaxPartitionBytes(program.LargeLimit), kgo.FetchMaxBytes(2 * program.LargeLimit),
		kgo.FetchMaxWait(50 * time.Millisecond), kgo.SessionTimeout(6 * time.Second),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, options...)...)
	if err != nil {
		panic(err)
	}
	return client
}

func (c *checks) topic(name string, partitions int32, config ...string) (string, error) {
	configs := map[string]*string{}
	for i := 0; i < len(config); i += 2 {
		configs[config[i]] = &config[i+1]
	}
	topic := c.prefix + "-" + name
	if _, err := c.admin.CreateTopic(limit(), partitions, 1, configs, topic); err != nil {
		return topic, err
	}
	// A broker may answer before it knows the topic itself.
	return topic, program.WaitFor("the new topic", func() (bool, error) {
		count, err := c.partitions(topic)
		return count == int(partitions), err
	})
}

func send(client *kgo.Client, topic string, partition int32, values []string) error {
	var records []*kgo.Record
	for _, value := range values {
		records = append(records,
			&kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)})
	}
	return client.ProduceSync(limit(), records...).FirstErr()
}

func take(client *kgo.Client, count int) ([]*kgo.Record, error) {
	var taken []*kgo.Record
	for ctx := limit(); len(taken) < count; {
		fetches := client.PollFetches(ctx)
		for _, each := range fetches.Errors() {
			return nil, fmt.Errorf("%d of %d read: %w", len(taken), count, each.Err)
		}
		taken = append(taken, fetches.Records()...)
	}
	return taken, nil
}

func (c *checks) read(topic string, offset int64, count int, options ...kgo.Opt) ([]*kgo.Record,
	error) {
	client := c.open(append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {0: kgo.NewOffset().At(offset)}}))...)
	defer client.Close()
	return take(client, count)
}

func texts(records []*kgo.Record) []string {
	values := []string{}
	for _, record := range records {
		values = append(values, string(record.Value))
	}
	return values
}

// readBack sends nothing; it expects the first values of the topic.
func (c *checks) readBack(topic string, offset int64, wanted []string, options ...kgo.Opt) error {
	records, err := c.read(topic, offset, len(wanted), options...)
	if err != nil {
		return err
	}
	return program.Expect(texts(records), wanted, "values")
}

func (c *checks) codec(name string, codec kgo.CompressionCodec) program.Check {
	return func() error {
		topic, err := c.topic(name, 1)
		if err != nil {
			return err
		}
		client := c.open(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(time.Millisecond))
		defer client.Close()
		if err := send(client, topic, 0, program.Values(100, 0)); err != nil {
			return err
		}
		return c.readBack(topic, 0, program.Values(100, 0))
	}
}

func (c *checks) headers() error {
	topic, err := c.topic("headers", 1)
	if err != nil {
		return err
	}
	sent := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{0, 255}},
		{Key: "a", Value: []byte("2")}, {Key: "empty", Value: []byte{}}, {Key: "null"}}
	record := &kgo.Record{Topic: topic, Value: []byte("x"), Headers: sent}
	if err := c.client.ProduceSync(limit(), record).FirstErr(); err != nil {
		return err
	}
	got, err := c.read(topic, 0, 1)
	if err != nil {
		return err
	}
	return program.Expect(got[0].Headers, sent, "headers")
}

func (c *checks) nulls() error {
	topic, err := c.topic("nulls", 1)
	if err != nil {
		return err
	}
	sent := [][2][]byte{{nil, nil}, {{}, {}}, {[]byte("k"), nil}, {nil, []byte("v")}}
	for _, pair := range sent {
		record := &kgo.Record{Topic: topic, Key: pair[0], Value: pair[1]}
		if err := c.client.ProduceSync(limit(), record).FirstErr(); err != nil {
			return err
		}
	}
	got, err := c.read(topic, 0, len(sent))
	if err != nil {
		return err
	}
	for i, record := range got {
		if err := program.Expect([2][]byte{record.Key, record.Value}, sent[i],
			"key and value "+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checks) timestamps() error {
	topic, err := c.topic("timestamps", 1)
	if err != nil {
		return err
	}
	record := &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: c.hourAgo}
	if err := c.client.ProduceSync(limit(), record).FirstErr(); err != nil {
		return err
	}
	got, err := c.read(topic, 0, 1)
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
	client := c.open(kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	for _, size := range program.Sizes {
		if err := send(client, topic, 0, []string{string(program.ValueOfSize(size))}); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	got, err := c.read(topic, 0, len(program.Sizes))
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
	client := c.open(kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	err = send(client, topic, 0, []string{string(program.ValueOfSize(2_000_000))})
	if errors.Is(err, kerr.MessageTooLarge) {
		return nil
	}
	return fmt.Errorf("2 MB: %v, expected MESSAGE_TOO_LARGE", err)
}

func (c *checks) seekTime() error {
	topic, err := c.topic("seek-time", 1)
	if err != nil {
		return err
	}
	for i := range 10 {
		record := &kgo.Record{Topic: topic, Value: []byte(program.Value(i)),
			Timestamp: c.hourAgo.Add(time.Duration(i) * time.Second)}
		if err := c.client.ProduceSync(limit(), record).FirstErr(); err != nil {
			return err
		}
	}
	found, err := c.admin.ListOffsetsAfterMilli(limit(), c.hourAgo.UnixMilli()+4500, topic)
	if err != nil {
		return err
	}
	offset, _ := found.Lookup(topic, 0)
	if err := program.Expect(offset.Offset, int64(5), "offset of the time"); err != nil {
		return err
	}
	return c.readBack(topic, 5, program.Values(5, 5))
}

func (c *checks) watermarks() error {
	topic, err := c.filled("watermarks", 7)
	if err != nil {
		return err
	}
	first, err := c.admin.ListStartOffsets(limit(), topic)
	if err != nil {
		return err
	}
	next, err := c.admin.ListEndOffsets(limit(), topic)
	if err != nil {
		return err
	}
	low, _ := first.Lookup(topic, 0)
	high, _ := next.Lookup(topic, 0)
	return program.Expect([]int64{low.Offset, high.Offset}, []int64{0, 7}, "watermarks")
}

func (c *checks) filled(name string, count int) (string, error) {
	topic, err := c.topic(name, 1)
	if err != nil {
		return "", err
	}
	return topic, send(c.client, topic, 0, program.Values(count, 0))
}

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

var committed = kgo.FetchIsolationLevel(kgo.ReadCommitted())

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

func (c *checks) adminCreate() error {
	if _, err := c.topic("admin-create", 3); err != nil {
		return err
	}
	if _, err := c.topic("admin-create", 3); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("the second time: %v", err)
	}
	return nil
}

func (c *checks) partitions(topic string) (int, error) {
	found, err := c.admin.ListTopics(limit(), topic)
	if err != nil {
		return 0, err
	}
	for _, each := range found[topic].Partitions {
		if each.Leader != 1 {
			return 0, fmt.Errorf("leader %d", each.Leader)
		}
	}
	return len(found[topic].Partitions), nil
}

func (c *checks) adminDescribe() error {
	topic, err := c.topic("admin-describe", 3)
	if err != nil {
		return err
	}
	return program.WaitFor("three partitions", func() (bool, error) {
		count, err := c.partitions(topic)
		return count == 3, err
	})
}

func (c *checks) adminAddPartitions() error {
	topic, err := c.topic("admin-add", 3)
	if err != nil {
		return err
	}
	done, err := c.admin.UpdatePartitions(limit(), 5, topic)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
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
	if _, err := c.admin.DeleteTopic(limit(), topic); err != nil {
		return err
	}
	found, err := c.admin.ListTopics(limit())
	if err != nil {
		return err
	}
	return program.Expect(found.Has(topic), false, "listed afterwards")
}

func (c *checks) retention(topic string) (string, error) {
	found, err := c.admin.DescribeTopicConfigs(limit(), topic)
	if err != nil {
		return "", err
	}
	one, err := found.On(topic, nil)
	if err != nil {
		return "", err
	}
	for _, config := range one.Configs {
		if config.Key == "retention.ms" {
			return config.MaybeValue() + " " + config.Source.String(), one.Err
		}
	}
	return "", errors.Join(one.Err, errors.New("no retention.ms"))
}

func (c *checks) adminConfigs() error {
	topic, err := c.topic("admin-configs", 1)
	if err != nil {
		return err
	}
	before, err := c.retention(topic)
	if err != nil {
		return err
	}
	if err := program.Expect(before, "604800000 DEFAULT_CONFIG", "default"); err != nil {
		return err
	}
	value := "3600000"
	if _, err := c.admin.AlterTopicConfigs(limit(), []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, topic); err != nil {
		return err
	}
	after, err := c.retention(topic)
	if err != nil {
		return err
	}
	return program.Expect(after, "3600000 DYNAMIC_TOPIC_CONFIG", "new value")
}

func (c *checks) adminDeleteRecords() error {
	topic, err := c.filled("admin-records", 10)
	if err != nil {
		return err
	}
	var offsets kadm.Offsets = make(kadm.Offsets)
	offsets.AddOffset(topic, 0, 4, -1)
	done, err := c.admin.DeleteRecords(limit(), offsets)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return err
	}
	return c.readBack(topic, 1, program.Values(6, 4))
}

func (c *checks) adminGroups() error {
	topic, err := c.filled("admin-groups", 3)
	if err != nil {
		return err
	}
	group := c.prefix + "-admin-groups"
	member := c.open(kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.ConsumeTopics(topic))
	_, err = take(member, 3)
	if err == nil {
		err = member.CommitUncommittedOffsets(limit())
	}
	member.Close()
	if err != nil {
		return err
	}
	listed, err := c.admin.ListGroups(limit())
	if err != nil {
		return err
	}
	if err := program.Expect(listed[group].State, "Empty", "listed as"); err != nil {
		return err
	}
	found, err := c.admin.FetchOffsets(limit(), group)
	if err != nil {
		return err
	}
	offset, _ := found.Lookup(topic, 0)
	if err := program.Expect(offset.At, int64(3), "offset"); err != nil {
		return err
	}
	if _, err := c.admin.DeleteGroup(limit(), group); err != nil {
		return err
	}
	listed, err = c.admin.ListGroups(limit())
	if err != nil {
		return err
	}
	_, there := listed[group]
	return program.Expect(there, false, "listed afterwards")
}

func main() {
	c := &checks{bootstrap: os.Args[1], prefix: os.Args[2],
		hourAgo: time.Now().Add(-time.Hour).Truncate(time.Millisecond)}
	c.client = c.open()
	c.admin = kadm.NewClient(c.client)
	program.Main("franz-go "+program.Version("github.com/twmb/franz-go"),
		map[string]program.Check{
			"produce_none":   c.codec("none", kgo.NoCompression()),
			"produce_gzip":   c.codec("gzip", kgo.GzipCompression()),
			"produce_snappy": c.codec("snappy", kgo.SnappyCompression()),
			"produce_lz4":    c.codec("lz4", kgo.Lz4Compression()),
			"produce_zstd":   c.codec("zstd", kgo.ZstdCompression()),
			"headers":        c.headers, "nulls": c.nulls, "timestamps": c.timestamps,
			"sizes": c.sizes, "too_large": c.tooLarge, "seek_time": c.seekTime,
			"watermarks": c.watermarks, "group_resume": c.groupResume,
			"group_rebalance": c.groupRebalance, "idempotent_kill": c.idempotentKill,
			"transaction_commit": c.transactionCommit, "transaction_abort": c.transactionAbort,
			"transaction_offsets":   c.transactionOffsets,
			"transaction_transform": c.transactionTransform,
			"transaction_fencing":   c.transactionFencing,
			"admin_create":          c.adminCreate,
			"admin_describe":        c.adminDescribe,
			"admin_add_partitions":  c.adminAddPartitions, "admin_delete": c.adminDelete,
			"admin_configs": c.adminConfigs, "admin_delete_records": c.adminDeleteRecords,
			"admin_groups": c.adminGroups,
		})
}
