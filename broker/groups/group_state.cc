// The stored form of a group; the table is at the top of group.h.
#include <algorithm>
#include <set>

#include "broker/groups/group.h"
#include "protocol/base/assert.h"
#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

constexpr std::uint8_t kAwayBit = 0x01;
/// More than any group can hold; bounds what damaged bytes can make us allocate.
constexpr std::size_t kMaxStoredPartitions = 3'000'000;
constexpr std::int32_t kMaxPartitionNumber = 1'000'000;

}  // namespace

class GroupWriter {
 public:
  explicit GroupWriter(const Group& group) : group_(group) {}

  [[nodiscard]] std::string write() {
    out_.le(kGroupStateVersion).varint(group_.epoch_);
    collect_topics();
    out_.uvarint(topics_.size());
    std::uint64_t place = 0;
    for (auto& [topic, number] : topics_) {
      number = place++;
      const auto count = group_.counts_.find(topic);
      const bool subscribed = count != group_.counts_.end();
      out_.text(topic).uvarint(subscribed ? 1 + static_cast<std::uint64_t>(count->second.partitions)
                                          : 0);
    }
    out_.uvarint(group_.members_.size());
    for (const auto& [id, member] : group_.members_) write_member(id, member);
    return out_.take();
  }

 private:
  void collect_topics() {
    std::set<const void*> lists;
    for (const auto& [topic, count] : group_.counts_) topics_.try_emplace(topic, 0);
    for (const auto& [id, member] : group_.members_) {
      for (const auto* list : {&member.topics, &member.names}) {
        if (!lists.insert(list->get()).second) continue;
        for (const auto& topic : **list) topics_.try_emplace(topic, 0);
      }
      for (const auto* set : {&member.assigned, &member.revoking, &member.target}) {
        for (const auto& [topic, partitions] : *set) topics_.try_emplace(topic, 0);
      }
    }
  }

  void write_member(const std::string& id, const Group::Member& member) {
    out_.text(id).text(member.instance_id).text(member.client_name).text(member.host);
    out_.text(member.assignor).varint(member.epoch).varint(member.previous_epoch);
    out_.le(member.away ? kAwayBit : std::uint8_t{0}).uvarint(member.session_timeout_ms);
    out_.uvarint(member.rebalance_timeout_ms).text(member.rack).text(member.pattern);
    // Without a pattern the names are the subscription, which follows.
    const auto& names = member.pattern.empty() ? *Group::no_topics() : *member.names;
    out_.uvarint(names.size());
    for (const auto& topic : names) out_.uvarint(topics_.at(topic));
    out_.uvarint(member.topics->size());
    for (const auto& topic : *member.topics) out_.uvarint(topics_.at(topic));
    if (member.gone.empty()) {
      write_set(member.assigned);
      write_set(member.revoking);
    } else {  // as it will be told
      PartitionSet assigned = member.assigned;
      PartitionSet revoking = member.revoking;
      for (const std::string& topic : member.gone) {
        auto lost = assigned.extract(topic);
        if (!lost.empty()) add_all(revoking, {{topic, std::move(lost.mapped())}});
      }
      write_set(assigned);
      write_set(revoking);
    }
    write_set(member.target);
  }

  void write_set(const PartitionSet& set) {
    out_.uvarint(set.size());
    for (const auto& [topic, partitions] : set) {
      RUNNEL_ASSERT(!partitions.empty());
      std::vector<std::pair<std::int32_t, std::int32_t>> runs;  // first, last
      for (const std::int32_t p : partitions) {
        if (!runs.empty() && runs.back().second + 1 == p) {
          runs.back().second = p;
        } else {
          runs.emplace_back(p, p);
        }
      }
      out_.uvarint(topics_.at(topic)).uvarint(runs.size());
      std::int32_t next = 0;
      for (const auto& [first, last] : runs) {
        out_.uvarint(static_cast<std::uint64_t>(first - next));
        out_.uvarint(static_cast<std::uint64_t>(last - first));
        next = last + 1;
      }
    }
  }

  const Group& group_;
  std::map<std::string_view, std::uint64_t> topics_;
  ByteWriter out_;
};

class GroupReader {
 public:
  GroupReader(std::string name, Bytes bytes, Group::Time now)
      : group_(std::move(name)), in_(bytes), now_(now) {}

  [[nodiscard]] Result<Group> read() {
    const auto version = in_.le<std::uint8_t>();
    if (in_.ok() && version > kGroupStateVersion) {
      return fail(ErrorCode::kFormatTooNew,
                  "the state of group \"" + group_.name_ + "\" has version " +
                      std::to_string(version) + "; this program knows up to " +
                      std::to_string(kGroupStateVersion) + ". Start the newer program again");
    }
    if (version != 1 && version != kGroupStateVersion) return corrupt("its version is unknown");
    version_ = version;
    group_.epoch_ = epoch();
    read_topics();
    const std::uint64_t members = in_.uvarint();
    for (std::uint64_t i = 0; i < members && in_.ok(); ++i) read_member();
    if (!in_.ok() || problem_) return corrupt(problem_ ? problem_ : "it ends too early");
    if (!in_.at_end()) return corrupt("bytes follow its end");
    return std::move(group_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const char* why) const {
    return fail(ErrorCode::kCorrupt, "the stored state of group \"" + group_.name_ +
                                         "\" is damaged: " + why +
                                         ". Check the data directory with 'runnel check'");
  }

  void stop(const char* problem) {
    if (in_.ok()) problem_ = problem;
    in_.set_failed();
  }

  std::int32_t epoch() {
    const std::int64_t value = in_.varint();
    if (value < -1 || value > INT32_MAX) stop("an epoch is out of range");
    return static_cast<std::int32_t>(value);
  }

  void read_topics() {
    const std::uint64_t count = in_.uvarint();
    for (std::uint64_t i = 0; i < count && in_.ok(); ++i) {
      topics_.emplace_back(in_.text());
      const std::uint64_t partitions = in_.uvarint();
      if (partitions > static_cast<std::uint64_t>(kMaxPartitionNumber)) {
        return stop("a topic has too many partitions");
      }
      if (partitions > 0) {
        group_.counts_.emplace(topics_.back(), static_cast<std::int32_t>(partitions - 1));
      }
    }
  }

  [[nodiscard]] const std::string& topic() {
    static const std::string kNone;
    const std::uint64_t place = in_.uvarint();
    if (place < topics_.size()) return topics_[static_cast<std::size_t>(place)];
    stop("it names a topic that is not in its list");
    return kNone;
  }

  void read_member() {
    std::string id(in_.text());
    Group::Member member;
    member.instance_id = in_.text();
    member.client_name = in_.text();
    member.host = in_.text();
    member.assignor = in_.text();
    member.epoch = epoch();
    member.previous_epoch = epoch();
    member.away = (in_.le<std::uint8_t>() & kAwayBit) != 0;
    const std::uint64_t timeout = in_.uvarint();
    if (timeout > static_cast<std::uint64_t>(kMaxSessionTimeout.count())) {
      return stop("a session timeout is out of range");
    }
    member.session_timeout_ms = static_cast<std::uint32_t>(timeout);
    if (version_ >= 3) read_kafka_fields(member);
    member.topics = read_list();
    if (member.pattern.empty()) member.names = member.topics;
    if (*member.names == *member.topics) member.topics = member.names;
    member.assigned = read_set();
    member.revoking = read_set();
    member.target = read_set();
    member.deadline = now_ + std::chrono::milliseconds(timeout);
    member.revoke_deadline = now_ + (member.rebalance_timeout_ms == 0
                                         ? kRevocationTimeout
                                         : std::chrono::milliseconds(member.rebalance_timeout_ms));
    group_.wake_at(std::min(member.deadline, member.revoke_deadline));
    check_member(id, member);
    if (in_.ok()) group_.members_.emplace(std::move(id), std::move(member));
  }

  void read_kafka_fields(Group::Member& member) {
    const std::uint64_t timeout = in_.uvarint();
    if (timeout > INT32_MAX) return stop("a rebalance timeout is out of range");
    member.rebalance_timeout_ms = static_cast<std::uint32_t>(timeout);
    member.rack = in_.text();
    member.pattern = in_.text();
    member.names = read_list();
    if (!member.names->empty() && member.pattern.empty()) stop("names stand beside no pattern");
  }

  Group::TopicList read_list() {
    const std::uint64_t count = in_.uvarint();
    std::vector<std::string> list;
    for (std::uint64_t i = 0; i < count && in_.ok(); ++i) list.push_back(topic());
    if (!std::is_sorted(list.begin(), list.end())) stop("a subscription is not in order");
    return group_.shared(std::move(list));
  }

  /// What Group relies on, asked again of what was read.
  void check_member(const std::string& id, const Group::Member& member) {
    if (id.empty() || group_.members_.contains(id))
      return stop("a member id is missing or doubled");
    if (!member.instance_id.empty() && !instances_.insert(member.instance_id).second) {
      return stop("two members have one instance id");
    }
    if (member.epoch > group_.epoch_) return stop("a member is ahead of its group");
    if (!assignor_named(member.assignor)) return stop("an assignor is not known");
    for (const auto* set : {&member.assigned, &member.revoking}) {
      if (intersects(taken_, *set)) return stop("two members have one partition");
      add_all(taken_, *set);
    }
  }

  PartitionSet read_set() {
    PartitionSet set;
    const std::uint64_t topics = in_.uvarint();
    for (std::uint64_t t = 0; t < topics && in_.ok(); ++t) {
      std::vector<std::int32_t>& partitions = set[topic()];
      const std::uint64_t runs = in_.uvarint();
      if (!partitions.empty() || runs == 0) stop("a topic of an assignment is empty or doubled");
      std::uint64_t next = 0;
      for (std::uint64_t r = 0; r < runs && in_.ok(); ++r) {
        const std::uint64_t gap = in_.uvarint();
        const std::uint64_t more = in_.uvarint();
        constexpr auto kMost = static_cast<std::uint64_t>(kMaxPartitionNumber);
        if (gap > kMost || more > kMost || next + gap + more > kMost ||
            (stored_ += static_cast<std::size_t>(more) + 1) > kMaxStoredPartitions) {
          stop("an assignment is too large");
          break;
        }
        next += gap;
        for (std::uint64_t i = 0; i <= more; ++i) {
          partitions.push_back(static_cast<std::int32_t>(next++));
        }
      }
    }
    return set;
  }

  Group group_;
  ByteReader in_;
  Group::Time now_;
  std::vector<std::string> topics_;
  std::set<std::string> instances_;
  PartitionSet taken_;
  std::size_t stored_ = 0;
  const char* problem_ = nullptr;
  std::uint8_t version_ = 0;
};

std::string Group::encode() const {
  return GroupWriter(*this).write();
}

Result<Group> Group::decode(std::string name, Bytes bytes, Time now) {
  return GroupReader(std::move(name), bytes, now).read();
}

}  // namespace runnel::broker
