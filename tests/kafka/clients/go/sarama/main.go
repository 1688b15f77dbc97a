// IBM's sarama.
package main

import (
	"errors"
	"fmt"
	"os"
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
