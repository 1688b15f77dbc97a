// What is written comes back.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"runnel.dev/tests/kafka/program"
)

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
