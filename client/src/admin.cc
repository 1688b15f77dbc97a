#include "client/src/core.h"

namespace runnel {
namespace {
namespace native = client::native;
using client::from_wire;
using client::optional_time;
using client::to_wire;

TopicState topic_state(native::TopicDescription t) {
  TopicState out;
  out.name = std::move(t.name);
  if (t.error != ErrorCode::kOk)
    out.error = Failure(static_cast<Errc>(t.error),
                        "topic \"" + out.name + "\": " + std::string(name_of(t.error)));
  out.id = std::move(t.id);
  out.created = optional_time(t.created);
  for (const auto& p : t.partitions)
    out.partitions.push_back({p.index.value(), p.log_start.value(), p.high_watermark.value(),
                              p.bytes, optional_time(p.max_timestamp)});
  out.configs = std::move(t.configs);
  return out;
}
Outcome<TopicState> one_topic(native::TopicsReply reply, Buffer) {
  if (reply.topics.empty()) return client::wrong_reply();
  return topic_state(std::move(reply.topics.front()));
}
Outcome<std::vector<TopicState>> all_topics(native::TopicsReply reply, Buffer) {
  std::vector<TopicState> out;
  for (auto& t : reply.topics) out.push_back(topic_state(std::move(t)));
  return out;
}
Outcome<std::vector<GroupState>> all_groups(native::GroupsReply reply, Buffer) {
  std::vector<GroupState> out;
  for (auto& g : reply.groups) {
    GroupState state{g.group, g.state, g.epoch, g.assignor, {}};
    for (auto& m : g.members) {
      GroupMember member{m.member_id, m.instance_id, m.client_name, m.host, m.member_epoch, {}};
      for (const auto& tp : m.assignment) member.assignment.push_back(from_wire(tp));
      state.members.push_back(std::move(member));
    }
    out.push_back(std::move(state));
  }
  return out;
}
ErasureState erasure_state(native::Erasure e) {
  ErasureState out;
  out.id = std::move(e.id);
  out.topic = std::move(e.topic);
  out.requested = optional_time(e.requested);
  out.removed = optional_time(e.removed);
  out.gone = optional_time(e.gone);
  for (const auto& p : e.parts) {
    out.records += p.records;
    if (p.partition.value() >= 0)
      out.parts.push_back({p.partition.value(), p.end.value(), p.records});
  }
  for (const auto& r : e.ranges) {
    out.ranges.push_back({r.partition.value(), r.first.value(), r.last.value()});
  }
  out.ranges_cut = e.ranges_cut;
  out.dedup_keys = e.dedup_keys;
  out.segments_left = e.segments_left;
  out.problem = std::move(e.problem);
  return out;
}
Outcome<std::vector<ErasureState>> all_erasures(native::ErasuresReply reply, Buffer) {
  std::vector<ErasureState> out;
  for (auto& e : reply.erasures) out.push_back(erasure_state(std::move(e)));
  return out;
}
Outcome<void> done_reply(native::Done, Buffer) {
  return {};
}
}  // namespace

Pending<TopicState> Admin::create_topic(TopicSpec spec) {
  return impl_->core->ask<native::TopicsReply, TopicState>(
      native::CreateTopic{std::move(spec.name), spec.partitions, std::move(spec.configs),
                          spec.if_not_exists},
      one_topic);
}
Pending<void> Admin::delete_topic(std::string name) {
  return impl_->core->ask<native::Done, void>(native::DeleteTopic{std::move(name)}, done_reply);
}
Pending<TopicState> Admin::alter_topic(TopicChange change) {
  return impl_->core->ask<native::TopicsReply, TopicState>(
      native::AlterTopic{std::move(change.name), std::move(change.set), std::move(change.unset),
                         change.partitions},
      one_topic);
}
Pending<std::vector<TopicState>> Admin::list_topics() {
  return describe_topics({});
}
Pending<std::vector<TopicState>> Admin::describe_topics(std::vector<std::string> names) {
  return impl_->core->ask<native::TopicsReply, std::vector<TopicState>>(
      native::DescribeTopics{std::move(names)}, all_topics);
}
Pending<std::int64_t> Admin::delete_records(TopicPartition target, std::int64_t before) {
  return impl_->core->ask<native::DeleteRecordsReply, std::int64_t>(
      native::DeleteRecords{to_wire(target), Offset(before)},
      [](native::DeleteRecordsReply r, Buffer) -> Outcome<std::int64_t> {
        return r.log_start.value();
      });
}
Pending<std::vector<OffsetAnswer>> Admin::list_offsets(std::vector<OffsetLookup> lookups) {
  native::ListOffsets request;
  for (const auto& l : lookups)
    request.partitions.push_back({to_wire(l.target), static_cast<native::OffsetSpec::Kind>(l.kind),
                                  Timestamp(l.time.time_since_epoch().count())});
  return impl_->core->ask<native::ListOffsetsReply, std::vector<OffsetAnswer>>(
      std::move(request),
      [](native::ListOffsetsReply r, Buffer) -> Outcome<std::vector<OffsetAnswer>> {
        std::vector<OffsetAnswer> out;
        for (auto& p : r.partitions) {
          OffsetAnswer answer;
          if (p.error != ErrorCode::kOk)
            answer.error = Failure(static_cast<Errc>(p.error), p.error_message);
          answer.offset = p.offset.value();
          answer.timestamp = optional_time(p.timestamp);
          out.push_back(std::move(answer));
        }
        return out;
      });
}
Pending<std::vector<GroupState>> Admin::list_groups() {
  return impl_->core->ask<native::GroupsReply, std::vector<GroupState>>(native::ListGroups{},
                                                                        all_groups);
}
Pending<GroupState> Admin::describe_group(std::string group) {
  return impl_->core->ask<native::GroupsReply, GroupState>(
      native::DescribeGroup{group},
      [group](native::GroupsReply r, Buffer b) -> Outcome<GroupState> {
        auto all = all_groups(std::move(r), std::move(b));
        if (all->empty()) return Failure(Errc::unknown_group, "no group \"" + group + "\"");
        return std::move(all->front());
      });
}
Pending<void> Admin::delete_group(std::string group) {
  return impl_->core->ask<native::Done, void>(native::DeleteGroup{std::move(group)}, done_reply);
}
Pending<std::vector<GroupOffset>> Admin::group_offsets(std::string group,
                                                       std::vector<TopicPartition> partitions) {
  native::FetchGroupOffsets request{std::move(group), {}};
  for (const auto& tp : partitions) request.partitions.push_back(to_wire(tp));
  return impl_->core->ask<native::GroupOffsetsReply, std::vector<GroupOffset>>(
      std::move(request),
      [](native::GroupOffsetsReply r, Buffer) -> Outcome<std::vector<GroupOffset>> {
        std::vector<GroupOffset> out;
        for (auto& o : r.offsets)
          out.push_back({from_wire(o.target), o.offset.value(), std::move(o.metadata),
                         optional_time(o.committed)});
        return out;
      });
}
Pending<void> Admin::seek_group(std::string group, std::vector<GroupOffset> offsets) {
  native::Append append;
  native::GroupOffsets commit{std::move(group), "", -1, {}};
  for (auto& o : offsets)
    commit.offsets.push_back(
        {to_wire(o.target), Offset(o.offset), LeaderEpoch(-1), std::move(o.metadata)});
  append.groups.push_back(std::move(commit));
  return impl_->core->ask<native::AppendReply, void>(
      std::move(append), [](native::AppendReply, Buffer) -> Outcome<void> { return {}; });
}
Pending<SnapshotFiles> Admin::take_snapshot() {
  return impl_->core->ask<native::SnapshotReply, SnapshotFiles>(
      native::TakeSnapshot{}, [](native::SnapshotReply r, Buffer) -> Outcome<SnapshotFiles> {
        return SnapshotFiles{std::move(r.directory), from_wire(r.taken)};
      });
}
Pending<ErasureState> Admin::erase_key(std::string topic, std::string key, std::string id) {
  if (id.empty()) id = client::new_id();
  return impl_->core->ask<native::ErasuresReply, ErasureState>(
      native::EraseKey{std::move(id), std::move(topic), std::move(key)},
      [](native::ErasuresReply r, Buffer b) -> Outcome<ErasureState> {
        auto all = all_erasures(std::move(r), std::move(b));
        if (all->size() != 1) return client::wrong_reply();
        return std::move(all->front());
      });
}
Pending<std::vector<ErasureState>> Admin::erasures(std::string id) {
  return impl_->core->ask<native::ErasuresReply, std::vector<ErasureState>>(
      native::ListErasures{std::move(id)}, all_erasures);
}
Pending<std::vector<Statistic>> Admin::statistics() {
  return impl_->core->ask<native::StatisticsReply, std::vector<Statistic>>(
      native::Statistics{},
      [](native::StatisticsReply r, Buffer) -> Outcome<std::vector<Statistic>> {
        std::vector<Statistic> out;
        for (auto& s : r.values)
          out.push_back({std::move(s.name), s.value, std::move(s.unit), std::move(s.text)});
        return out;
      });
}

}  // namespace runnel
