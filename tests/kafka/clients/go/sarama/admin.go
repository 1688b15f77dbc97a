// Topics, configs and groups as administrators see them.
package main

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"runnel.dev/tests/kafka/program"
)

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
