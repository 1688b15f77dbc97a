// Topics, configs and groups as administrators see them.
package main

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"runnel.dev/tests/kafka/program"
)

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
