// A store in memory: enough of storage::Store for sessions, with commits that can be held back.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/base/thread_annotations.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/stats.h"
#include "storage/store.h"

namespace runnel::storage {

/// The test's own partition; the fake store is the only one that looks into it.
class Partition {
 public:
  std::string topic;
  PartitionIndex index;
  PartitionId id{0};
  std::vector<Buffer> batches;
  Offset next{0};
  bool deleted = false;
};

class MemoryFile final : public File {
 public:
  explicit MemoryFile(Buffer bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override {
    const std::size_t n = std::min<std::size_t>(into.size(), bytes_.size() - position);
    std::memcpy(into.data(), bytes_.data() + position, n);
    return n;
  }
  Status write(std::uint64_t, std::span<iovec>) override { return refuse(); }
  Status sync() override { return refuse(); }
  Status allocate(std::uint64_t) override { return refuse(); }
  Status truncate(std::uint64_t) override { return refuse(); }
  Result<std::uint64_t> size() const override { return bytes_.size(); }
  bool resident(std::uint64_t, std::uint64_t) const override { return true; }
  void will_need(std::uint64_t, std::uint64_t) const override {}
  void dont_need(std::uint64_t, std::uint64_t) const override {}
  int descriptor() const noexcept override { return -1; }
  const std::string& path() const noexcept override { return path_; }

 private:
  static Status refuse() { return fail(ErrorCode::kUnsupported, "a file in memory"); }
  Buffer bytes_;
  std::string path_ = "memory";
};

class FakeStore final : public Store {
 public:
  explicit FakeStore(std::uint64_t memory_bytes = 64u << 20) : budget_(memory_bytes) {}

  // For tests.
  void hold_commits(bool hold) { hold_ = hold; }
  /// Runs what was held back.
  void release_commits() {
    std::vector<std::pair<CommitRequest, CommitCallback>> held;
    {
      MutexLock lock(mutex_);
      held.swap(held_);
    }
    for (auto& [request, done] : held) finish(std::move(request), done);
  }
  std::size_t held_commits() {
    MutexLock lock(mutex_);
    return held_.size();
  }
  std::size_t waiting_fetches() {
    MutexLock lock(mutex_);
    return waiting_.size();
  }
  /// The next commit ends like this.
  void set_outcome(CommitOutcome outcome) { outcome_ = std::move(outcome); }

  Status close() override { return {}; }
  /// Each creation and deletion takes as long as the test likes.
  void set_topic_change(std::function<void()> hook) { topic_change_hook_ = std::move(hook); }
  Result<TopicInfo> create_topic(const TopicSpec& spec) override {
    if (topic_change_hook_) topic_change_hook_();
    {
      MutexLock lock(mutex_);
      if (topics_.contains(spec.name)) return fail(ErrorCode::kTopicExists, "it exists");
      auto& topic = topics_[spec.name];
      topic.id = Uuid::from_random(7, ++last_topic_);
      topic.configs = spec.configs;
      grow(spec.name, topic, spec.partitions);
    }
    return describe_topic(spec.name);
  }
  Status validate_topic(const TopicSpec& spec) const override {
    if (describe_topic(spec.name)) return fail(ErrorCode::kTopicExists, "it exists");
    return {};
  }
  Status set_topic_defaults(ConfigMap defaults) override {
    MutexLock lock(mutex_);
    topic_defaults_ = std::move(defaults);
    return {};
  }
  ConfigMap topic_defaults() const {
    MutexLock lock(mutex_);
    return topic_defaults_;
  }
  Status delete_topic(std::string_view name) override {
    if (topic_change_hook_) topic_change_hook_();
    MutexLock lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "no such topic");
    for (const auto& p : found->second.partitions) p->deleted = true;
    topics_.erase(found);
    return {};
  }
  Status alter_topic(std::string_view name,
                     const std::map<std::string, std::optional<std::string>>& changes) override {
    MutexLock lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "no such topic");
    for (const auto& [key, value] : changes) {
      found->second.configs.erase(key);
      if (value) found->second.configs.emplace(key, *value);
    }
    return {};
  }
  Status add_partitions(std::string_view name, std::int32_t total) override {
    MutexLock lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "no such topic");
    grow(std::string(name), found->second, total);
    return {};
  }
  std::vector<std::string> topic_names() const override {
    MutexLock lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, topic] : topics_) names.push_back(name);
    return names;
  }
  Result<TopicInfo> describe_topic(std::string_view name) const override {
    MutexLock lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "no such topic");
    TopicInfo info;
    info.name = name;
    info.id = found->second.id;
    info.configs = found->second.configs;
    for (const auto& p : found->second.partitions) info.partitions.push_back(info_of(*p));
    return info;
  }
  Result<std::string> topic_name(const Uuid& id) const override {
    MutexLock lock(mutex_);
    for (const auto& [name, topic] : topics_) {
      if (topic.id == id) return name;
    }
    return fail(ErrorCode::kUnknownTopic, "no such topic");
  }
  Result<PartitionRef> partition(std::string_view topic, PartitionIndex index) const override {
    MutexLock lock(mutex_);
    const auto found = topics_.find(topic);
    if (found == topics_.end()) return fail(ErrorCode::kUnknownTopic, "no such topic");
    const auto& all = found->second.partitions;
    const auto i = static_cast<std::size_t>(index.value());
    if (i >= all.size()) return fail(ErrorCode::kUnknownPartition, "no such partition");
    return all[i];
  }
  PartitionId partition_id(const PartitionRef& p) const override { return p->id; }
  Result<Offset> delete_records(const PartitionRef&, Offset before) override { return before; }
  PartitionInfo partition_info(const PartitionRef& p) const override {
    MutexLock lock(mutex_);
    return info_of(*p);
  }
  RecordRules record_rules(const PartitionRef&) const override { return rules; }

  std::function<void(const CommitRequest&)> on_commit;  ///< sees each, on the caller's thread
  void commit(CommitRequest request, CommitCallback done) override {
    if (on_commit) on_commit(request);
    if (hold_) {
      MutexLock lock(mutex_);
      held_.emplace_back(std::move(request), std::move(done));
      return;
    }
    finish(std::move(request), done);
  }
  Result<ProducerIdentity> new_producer() override {
    return ProducerIdentity{ProducerId(1000), ProducerEpoch(0)};
  }

  /// The only producer that is remembered, in every partition.
  RecordRules rules;  ///< of every topic
  std::optional<ProducerInfo> known_producer;
  Result<std::optional<ProducerInfo>> producer(const PartitionRef&, ProducerId id) override {
    if (!known_producer || known_producer->id != id) return std::optional<ProducerInfo>{};
    return known_producer;
  }
  Result<std::vector<ProducerInfo>> producers(const PartitionRef&) override {
    return std::vector<ProducerInfo>{};
  }

  FetchTicket fetch(FetchRequest request, FetchCallback done) override {
    FetchResult result;
    {
      MutexLock lock(mutex_);
      result = read(request);
      if (request.max_wait.count() > 0 && is_short(request, result)) {
        waiting_.emplace(++last_ticket_, std::pair(std::move(request), std::move(done)));
        return last_ticket_;
      }
    }
    done(std::move(result));
    return 0;
  }
  bool cancel_fetch(FetchTicket ticket) override {
    MutexLock lock(mutex_);
    return waiting_.erase(ticket) > 0;
  }
  std::unique_ptr<Watch> watch(std::vector<PartitionRef> partitions,
                               std::function<void()> changed) override {
    auto made = std::make_unique<FakeWatch>(*this, std::move(partitions), std::move(changed));
    MutexLock lock(mutex_);
    watches_.push_back(made.get());
    return made;
  }
  /// Each takes as long as the test likes.
  void set_find_offset(std::function<void()> hook) { find_offset_hook_ = std::move(hook); }
  Result<OffsetAnswer> find_offset(const PartitionRef& p, OffsetQuery query) const override {
    if (find_offset_hook_) find_offset_hook_();
    MutexLock lock(mutex_);
    if (query.kind == OffsetQuery::Kind::kEarliest) return OffsetAnswer{Offset(0), kNoTimestamp};
    return OffsetAnswer{p->next, kNoTimestamp};
  }

  Result<std::optional<CommittedOffset>> committed_offset(std::string_view group,
                                                          std::string_view topic,
                                                          PartitionIndex index) const override {
    RUNNEL_TRY_ASSIGN(const auto offsets, committed_offsets(group));
    for (const auto& c : offsets) {
      if (c.topic == topic && c.partition == index) return c;
    }
    return std::nullopt;
  }
  Result<std::vector<CommittedOffset>> committed_offsets(std::string_view group) const override {
    MutexLock lock(mutex_);
    const auto found = offsets_.find(group);
    return found == offsets_.end() ? std::vector<CommittedOffset>() : found->second;
  }
  Result<std::vector<std::string>> groups_with_offsets() const override {
    MutexLock lock(mutex_);
    std::vector<std::string> groups;
    for (const auto& [group, offsets] : offsets_) {
      if (!offsets.empty()) groups.push_back(group);
    }
    return groups;
  }
  Status delete_group_offsets(std::string_view group) override {
    MutexLock lock(mutex_);
    offsets_.erase(std::string(group));
    return {};
  }
  void set_group_active(std::string_view, bool) override {}
  Result<StateEntries> read_state(std::string_view prefix) const override {
    MutexLock lock(mutex_);
    StateEntries found;
    for (const auto& [key, value] : state_) {
      if (key.starts_with(prefix)) found.emplace_back(key, value);
    }
    return found;
  }
  Result<Snapshot> take_snapshot() override { return Snapshot{"here", Timestamp(0), {}, {}}; }
  Status run_maintenance() override { return {}; }
  StoreStats stats() const override { return {}; }
  MemoryBudget& memory() override { return budget_; }
  const Uuid& id() const override { return id_; }

 private:
  struct Topic {
    Uuid id;
    std::vector<PartitionRef> partitions;
    ConfigMap configs;
  };
  class FakeWatch final : public Watch {
   public:
    FakeWatch(FakeStore& store, std::vector<PartitionRef> watched, std::function<void()> tell)
        : partitions(std::move(watched)), changed(std::move(tell)), store_(store) {}
    ~FakeWatch() override {
      MutexLock lock(store_.mutex_);
      std::erase(store_.watches_, this);
    }
    void take(std::vector<std::uint32_t>& to) override {
      MutexLock lock(store_.mutex_);
      to = std::exchange(places, {});
    }
    const std::vector<PartitionRef> partitions;
    const std::function<void()> changed;
    std::vector<std::uint32_t> places;  ///< under the store's mutex

   private:
    FakeStore& store_;
  };
  /// Who watches `partition` and was not told yet.
  void tell_watches(const PartitionRef& partition, std::vector<std::function<void()>>& to)
      RUNNEL_REQUIRES(mutex_) {
    for (FakeWatch* w : watches_) {
      for (std::size_t i = 0; i < w->partitions.size(); ++i) {
        const auto place = static_cast<std::uint32_t>(i);
        if (w->partitions[i] != partition) continue;
        if (std::find(w->places.begin(), w->places.end(), place) != w->places.end()) continue;
        w->places.push_back(place);
        if (w->places.size() == 1) to.push_back(w->changed);
      }
    }
  }
  void grow(const std::string& name, Topic& topic, std::int32_t total) RUNNEL_REQUIRES(mutex_) {
    while (topic.partitions.size() < static_cast<std::size_t>(total)) {
      auto p = std::make_shared<Partition>();
      p->topic = name;
      p->index = PartitionIndex(static_cast<std::int32_t>(topic.partitions.size()));
      p->id = PartitionId(++last_partition_);
      topic.partitions.push_back(std::move(p));
    }
  }
  static PartitionInfo info_of(const Partition& p) {
    return {p.index, Offset(0), p.next, p.next, 0, kNoTimestamp};
  }
  static bool is_short(const FetchRequest& request, const FetchResult& result) {
    std::uint64_t bytes = 0;
    for (const auto& p : result) {
      if (p.error) return false;
      bytes += p.bytes;
    }
    return bytes < std::max<std::uint64_t>(request.min_bytes, 1);
  }
  FetchResult read(const FetchRequest& request) const RUNNEL_REQUIRES(mutex_) {
    FetchResult result;
    std::uint64_t bytes = 0;
    for (const FetchItem& item : request.items) {
      FetchedPartition out;
      out.high_watermark = out.last_stable = item.partition->next;
      out.next = item.from;
      if (item.partition->deleted) out.error = Error(ErrorCode::kUnknownTopic, "it was deleted");
      if (item.from > item.partition->next) {
        out.error = Error(ErrorCode::kOffsetOutOfRange, "beyond the end");
      }
      for (const Buffer& batch : item.partition->batches) {
        const protocol::BatchView view(batch.bytes());
        if (out.error || view.last_offset() < item.from) continue;
        if (bytes > 0 && bytes + batch.size() > request.max_bytes) break;
        out.slices.push_back({std::make_shared<MemoryFile>(batch), 0, batch.size()});
        out.bytes += batch.size();
        bytes += batch.size();
        out.next = view.last_offset() + 1;
      }
      result.push_back(std::move(out));
    }
    return result;
  }
  CommitResult store(CommitRequest& request) RUNNEL_REQUIRES(mutex_) {
    CommitResult result;
    result.durability = request.durability;
    for (AppendItem& item : request.appends) {
      AppendResult appended;
      appended.base_offset = item.partition->next;
      for (std::size_t at = 0; at < item.batches.size();) {
        const protocol::BatchView view(item.batches.bytes().subspan(at));
        Buffer batch = Buffer::copy_of(item.batches.bytes().subspan(at, view.total_bytes()));
        at += batch.size();
        store_be(batch.mutable_data(), item.partition->next.value());
        item.partition->next = protocol::BatchView(batch.bytes()).last_offset() + 1;
        item.partition->batches.push_back(std::move(batch));
      }
      appended.last_offset = item.partition->next - 1;
      result.appends.push_back(appended);
    }
    for (OffsetCommit& o : request.offsets) {
      auto& group = offsets_[o.group];
      std::erase_if(group, [&](const CommittedOffset& known) {
        return known.topic == o.topic && known.partition == o.partition;
      });
      if (o.offset == kNoOffset) continue;
      group.push_back({o.topic, o.partition, o.offset, o.leader_epoch, o.metadata, Timestamp(1)});
      std::sort(group.begin(), group.end(), [](const auto& a, const auto& b) {
        return std::tie(a.topic, a.partition) < std::tie(b.topic, b.partition);
      });
    }
    for (StateChange& change : request.state) {
      state_.erase(change.key);
      if (change.value) state_.emplace(std::move(change.key), std::move(*change.value));
    }
    return result;
  }
  void finish(CommitRequest request, const CommitCallback& done) {
    if (outcome_) {
      const CommitOutcome outcome = *std::exchange(outcome_, std::nullopt);
      return done(outcome);
    }
    CommitResult result;
    std::vector<std::pair<FetchResult, FetchCallback>> ready;
    std::vector<std::function<void()>> told;
    {
      MutexLock lock(mutex_);
      result = store(request);
      for (const AppendItem& item : request.appends) tell_watches(item.partition, told);
      for (auto it = waiting_.begin(); it != waiting_.end();) {
        FetchResult found = read(it->second.first);
        if (is_short(it->second.first, found)) {
          ++it;
          continue;
        }
        ready.emplace_back(std::move(found), std::move(it->second.second));
        it = waiting_.erase(it);
      }
    }
    done(CommitOutcome{std::move(result), {}});
    for (auto& [found, callback] : ready) callback(std::move(found));
    for (const auto& tell : told) tell();
  }

  MemoryBudget budget_;
  Uuid id_ = Uuid::from_random(1, 2);
  bool hold_ = false;
  std::optional<CommitOutcome> outcome_;
  std::function<void()> find_offset_hook_;
  std::function<void()> topic_change_hook_;
  mutable Mutex mutex_;
  std::map<std::string, Topic, std::less<>> topics_ RUNNEL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> state_ RUNNEL_GUARDED_BY(mutex_);
  ConfigMap topic_defaults_ RUNNEL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<CommittedOffset>, std::less<>> offsets_
      RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::pair<CommitRequest, CommitCallback>> held_ RUNNEL_GUARDED_BY(mutex_);
  std::map<FetchTicket, std::pair<FetchRequest, FetchCallback>> waiting_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<FakeWatch*> watches_ RUNNEL_GUARDED_BY(mutex_);
  std::uint64_t last_topic_ RUNNEL_GUARDED_BY(mutex_) = 0;
  std::uint32_t last_partition_ RUNNEL_GUARDED_BY(mutex_) = 0;
  FetchTicket last_ticket_ RUNNEL_GUARDED_BY(mutex_) = 0;
};

}  // namespace runnel::storage
