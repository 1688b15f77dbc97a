// franz-go, with its admin client.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
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

func (c *checks) filled(name string, count int) (string, error) {
	topic, err := c.topic(name, 1)
	if err != nil {
		return "", err
	}
	return topic, send(c.client, topic, 0, program.Values(count, 0))
}

var committed = kgo.FetchIsolationLevel(kgo.ReadCommitted())

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
