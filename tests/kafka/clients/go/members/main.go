// Members of a consumer group with franz-go; clients/members/members.py describes call and lines.
package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var output sync.Mutex

func tell(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func milliseconds(text string) time.Duration {
	number, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return time.Duration(number) * time.Millisecond
}

type member struct {
	number     int
	client     *kgo.Client
	mutex      sync.Mutex
	partitions map[int32]bool
	id         string
	generation int32
}

// state is called with the mutex held.
func (m *member) state() {
	owned := []int32{}
	for partition := range m.partitions {
		owned = append(owned, partition)
	}
	slices.Sort(owned)
	tell(map[string]any{"member": m.number, "id": m.id, "generation": m.generation,
		"partitions": owned, "at": float64(time.Now().UnixMicro()) / 1e6})
}

func (m *member) change(assigned bool, partitions map[string][]int32) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, each := range partitions {
		for _, partition := range each {
			if assigned {
				m.partitions[partition] = true
			} else {
				delete(m.partitions, partition)
			}
		}
	}
	m.state()
}

func (m *member) look() {
	id, generation := m.client.GroupMetadata()
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if id != m.id || generation != m.generation {
		m.id, m.generation = id, generation
		m.state()
	}
}

func (m *member) run() {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		records := m.client.PollFetches(ctx).Records()
		cancel()
		m.look()
		if len(records) == 0 {
			continue
		}
		if err := m.client.CommitRecords(context.Background(), records...); err != nil {
			tell(map[string]any{"member": m.number, "error": "commit: " + err.Error()})
			continue
		}
		for _, record := range records {
			tell(map[string]any{"member": m.number, "partition": record.Partition,
				"value": string(record.Value)})
		}
	}
}

func main() {
	bootstrap, group, topic, protocol := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	count, err := strconv.Atoi(os.Args[5])
	if err != nil {
		panic(err)
	}
	for i := range count {
		m := &member{number: i, partitions: map[int32]bool{}}
		options := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group),
			kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchMaxWait(100 * time.Millisecond),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
				m.change(true, p)
			}),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
				m.change(false, p)
			}),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
				m.change(false, p)
			})}
		if protocol == "consumer" {
			options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
		} else {
			options = append(options, kgo.SessionTimeout(milliseconds(os.Args[6])),
				kgo.HeartbeatInterval(milliseconds(os.Args[7])))
		}
		if m.client, err = kgo.NewClient(options...); err != nil {
			panic(err)
		}
		go m.run()
	}
	_, _ = io.ReadAll(os.Stdin)
}
