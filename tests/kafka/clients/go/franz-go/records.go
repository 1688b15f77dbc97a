// What is written comes back.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"runnel.dev/tests/kafka/program"
)

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
