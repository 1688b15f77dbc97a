// segmentio's kafka-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"runnel.dev/tests/kafka/program"
)

type checks struct {
	bootstrap, prefix string
	client            *kafka.Client
	hourAgo           time.Time
}

func limit() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), program.Patience)
	time.AfterFunc(program.Patience+time.Second, cancel)
	return ctx
}

func (c *checks) topic(name string, partitions int, config ...string) (string, error) {
	topic := c.prefix + "-" + name
	var entries []kafka.ConfigEntry
	for i := 0; i < len(config); i += 2 {
		entries = append(entries, kafka.ConfigEntry{ConfigName: config[i], ConfigValue: config[i+1]})
	}
	done, err := c.client.CreateTopics(limit(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions,
			ReplicationFactor: 1, ConfigEntries: entries}}})
	if err != nil {
		return "", err
	}
	return topic, done.Errors[topic]
}

// toPartition sends a message to the partition that its writer data names.
var toPartition = kafka.BalancerFunc(func(m kafka.Message, _ ...int) int {
	if partition, ok := m.WriterData.(int); ok {
		return partition
	}
	return 0
})

func (c *checks) writer(topic string, codec compress.Compression) *kafka.Writer {
	return &kafka.Writer{Addr: kafka.TCP(c.bootstrap), Topic: topic, Balancer: toPartition,
		Compression: codec, BatchTimeout: 5 * time.Millisecond, BatchBytes: program.LargeLimit,
		RequiredAcks: kafka.RequireAll}
}

func (c *checks) write(topic string, codec compress.Compression, messages ...kafka.Message) error {
	writer := c.writer(topic, codec)
	err := writer.WriteMessages(limit(), messages...)
	return errors.Join(err, writer.Close())
}

func messages(partition int, values []string) []kafka.Message {
	var all []kafka.Message
	for _, value := range values {
		all = append(all, kafka.Message{Value: []byte(value), WriterData: partition})
	}
	return all
}

func take(reader *kafka.Reader, count int) ([]kafka.Message, error) {
	var taken []kafka.Message
	for ctx := limit(); len(taken) < count; {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return nil, fmt.Errorf("%d of %d read: %w", len(taken), count, err)
		}
		taken = append(taken, message)
	}
	return taken, nil
}

func (c *checks) read(topic string, offset int64, count int) ([]kafka.Message, error) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.bootstrap}, Topic: topic,
		MaxBytes: 2 * program.LargeLimit, MaxWait: 50 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffset(offset); err != nil {
		return nil, err
	}
	return take(reader, count)
}

func texts(messages []kafka.Message) []string {
	values := []string{}
	for _, message := range messages {
		values = append(values, string(message.Value))
	}
	return values
}

func (c *checks) readBack(topic string, offset int64, wanted []string) error {
	got, err := c.read(topic, offset, len(wanted))
	if err != nil {
		return err
	}
	return program.Expect(texts(got), wanted, "values")
}

func (c *checks) filled(name string, count int) (string, error) {
	topic, err := c.topic(name, 1)
	if err != nil {
		return "", err
	}
	return topic, c.write(topic, compress.None, messages(0, program.Values(count, 0))...)
}

func (c *checks) codec(name string, codec compress.Compression) program.Check {
	return func() error {
		topic, err := c.topic(name, 1)
		if err != nil {
			return err
		}
		if err := c.write(topic, codec, messages(0, program.Values(100, 0))...); err != nil {
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
	sent := []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{0, 255}},
		{Key: "a", Value: []byte("2")}, {Key: "empty", Value: []byte{}}}
	if err := c.write(topic, compress.None,
		kafka.Message{Value: []byte("x"), Headers: sent}); err != nil {
		return err
	}
	got, err := c.read(topic, 0, 1)
	if err != nil {
		return err
	}
	// As text: the reader gives nil for an empty value.
	return program.Expect(fmt.Sprint(got[0].Headers), fmt.Sprint(sent), "headers")
}

func (c *checks) nulls() error {
	topic, err := c.topic("nulls", 1)
	if err != nil {
		return err
	}
	sent := [][2][]byte{{nil, nil}, {{}, {}}, {[]byte("k"), nil}, {nil, []byte("v")}}
	for _, pair := range sent {
		if err := c.write(topic, compress.None,
			kafka.Message{Key: pair[0], Value: pair[1]}); err != nil {
			return err
		}
	}
	got, err := c.read(topic, 0, len(sent))
	if err != nil {
		return err
	}
	for i, message := range got {
		// The reader gives nil for empty too, so only what it can tell is compared.
		if string(message.Key) != string(sent[i][0]) || string(message.Value) != string(sent[i][1]) {
			return fmt.Errorf("record %d came back different", i)
		}
	}
	return nil
}

func (c *checks) timestamps() error {
	topic, err := c.topic("timestamps", 1)
	if err != nil {
		return err
	}
	if err := c.write(topic, compress.None,
		kafka.Message{Value: []byte("x"), Time: c.hourAgo}); err != nil {
		return err
	}
	got, err := c.read(topic, 0, 1)
	if err != nil {
		return err
	}
	return program.Expect(got[0].Time.UnixMilli(), c.hourAgo.UnixMilli(), "timestamp")
}

func (c *checks) sizes() error {
	topic, err := c.topic("sizes", 1, "max.message.bytes", strconv.Itoa(program.LargeLimit))
	if err != nil {
		return err
	}
	for _, size := range program.Sizes {
		if err := c.write(topic, compress.None,
			kafka.Message{Value: program.ValueOfSize(size)}); err != nil {
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
	err = c.write(topic, compress.None, kafka.Message{Value: program.ValueOfSize(2_000_000)})
	if errors.Is(err, kafka.MessageSizeTooLarge) {
		return nil
	}
	var each kafka.WriteErrors
	if errors.As(err, &each) && errors.Is(each[0], kafka.MessageSizeTooLarge) {
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
		if err := c.write(topic, compress.None, kafka.Message{Value: []byte(program.Value(i)),
			Time: c.hourAgo.Add(time.Duration(i) * time.Second)}); err != nil {
			return err
		}
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.bootstrap}, Topic: topic,
		MaxWait: 50 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffsetAt(limit(), c.hourAgo.Add(4500*time.Millisecond)); err != nil {
		return err
	}
	got, err := take(reader, 1)
	if err != nil {
		return err
	}
	return program.Expect(got[0].Offset, int64(5), "offset of the time")
}

func (c *checks) watermarks() error {
	topic, err := c.filled("watermarks", 7)
	if err != nil {
		return err
	}
	connection, err := kafka.DialLeader(limit(), "tcp", c.bootstrap, topic, 0)
	if err != nil {
		return err
	}
	defer connection.Close()
	first, next, err := connection.ReadOffsets()
	if err != nil {
		return err
	}
	return program.Expect([]int64{first, next}, []int64{0, 7}, "watermarks")
}

func main() {
	c := &checks{bootstrap: os.Args[1], prefix: os.Args[2],
		hourAgo: time.Now().Add(-time.Hour).Truncate(time.Millisecond)}
	c.client = &kafka.Client{Addr: kafka.TCP(c.bootstrap), Timeout: program.Patience}
	program.Main("kafka-go "+program.Version("github.com/segmentio/kafka-go"),
		map[string]program.Check{
			"produce_none":   c.codec("none", compress.None),
			"produce_gzip":   c.codec("gzip", compress.Gzip),
			"produce_snappy": c.codec("snappy", compress.Snappy),
			"produce_lz4":    c.codec("lz4", compress.Lz4),
			"produce_zstd":   c.codec("zstd", compress.Zstd),
			"headers":        c.headers, "nulls": c.nulls, "timestamps": c.timestamps,
			"sizes": c.sizes, "too_large": c.tooLarge, "seek_time": c.seekTime,
			"watermarks": c.watermarks, "group_resume": c.groupResume,
			"group_rebalance": c.groupRebalance, "admin_create": c.adminCreate,
			"admin_describe": c.adminDescribe, "admin_add_partitions": c.adminAddPartitions,
			"admin_delete": c.adminDelete, "admin_configs": c.adminConfigs,
			"admin_groups": c.adminGroups,
		})
}
