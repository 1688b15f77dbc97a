// Topics, configs and groups as administrators see them.
package main

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"runnel.dev/tests/kafka/program"
)

func (c *checks) partitions(topic string) (int, error) {
	found, err := c.client.Metadata(limit(), &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, err
	}
	for _, partition := range found.Topics[0].Partitions {
		if partition.Leader.ID != 1 {
			return 0, fmt.Errorf("leader %d", partition.Leader.ID)
		}
	}
	return len(found.Topics[0].Partitions), found.Topics[0].Error
}

func (c *checks) adminCreate() error {
	if _, err := c.topic("admin-create", 3); err != nil {
		return err
	}
	if _, err := c.topic("admin-create", 3); !errors.Is(err, kafka.TopicAlreadyExists) {
		return fmt.Errorf("the second time: %v", err)
	}
	return nil
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
	done, err := c.client.CreatePartitions(limit(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 5}}})
	if err != nil {
		return err
	}
	if err := done.Errors[topic]; err != nil {
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
	done, err := c.client.DeleteTopics(limit(),
		&kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	if err := done.Errors[topic]; err != nil {
		return err
	}
	return program.WaitFor("the topic is gone", func() (bool, error) {
		found, err := c.client.Metadata(limit(), &kafka.MetadataRequest{})
		if err != nil {
			return false, err
		}
		for _, each := range found.Topics {
			if each.Name == topic {
				return false, nil
			}
		}
		return true, nil
	})
}

func (c *checks) retention(topic string) (string, error) {
	found, err := c.client.DescribeConfigs(limit(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic,
			ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
	if err != nil {
		return "", err
	}
	return found.Resources[0].ConfigEntries[0].ConfigValue, found.Resources[0].Error
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
	if err := program.Expect(before, "604800000", "default"); err != nil {
		return err
	}
	if _, err := c.client.IncrementalAlterConfigs(limit(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms",
				Value: "3600000", ConfigOperation: kafka.ConfigOperationSet}}}}}); err != nil {
		return err
	}
	return program.WaitFor("the new value", func() (bool, error) {
		after, err := c.retention(topic)
		return after == "3600000", err
	})
}

func (c *checks) adminGroups() error {
	topic, err := c.filled("admin-groups", 3)
	if err != nil {
		return err
	}
	group := c.prefix + "-admin-groups"
	member := c.member(group, topic)
	got, err := take(member, 3)
	if err == nil {
		err = member.CommitMessages(limit(), got...)
	}
	if err := errors.Join(err, member.Close()); err != nil {
		return err
	}
	listed, err := c.client.ListGroups(limit(), &kafka.ListGroupsRequest{})
	if err != nil {
		return err
	}
	there := false
	for _, each := range listed.Groups {
		there = there || each.GroupID == group
	}
	if err := program.Expect(there, true, "listed"); err != nil {
		return err
	}
	described, err := c.client.DescribeGroups(limit(),
		&kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	if err := program.Expect(described.Groups[0].GroupState, "Empty", "state"); err != nil {
		return err
	}
	offsets, err := c.client.OffsetFetch(limit(), &kafka.OffsetFetchRequest{GroupID: group,
		Topics: map[string][]int{topic: {0}}})
	if err != nil {
		return err
	}
	if err := program.Expect(offsets.Topics[topic][0].CommittedOffset, int64(3),
		"offset"); err != nil {
		return err
	}
	deleted, err := c.client.DeleteGroups(limit(),
		&kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return deleted.Errors[group]
}
