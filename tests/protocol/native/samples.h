// One full instance of every message: each field differs from its default.
#pragma once

#include <vector>

#include "protocol/native/messages.h"

namespace runnel::protocol::native {

inline std::vector<Request> sample_requests() {
  const TopicPartition target{"orders", PartitionIndex(7)};
  Append append;
  append.partitions = {
      {target, 11, {{"crm", "42", "a9", 0xfeedfacecafebeefull, 3}}, Offset(99)},
      {{"payments", PartitionIndex(1)}, 5, {}, std::nullopt},
      {{"payments", PartitionIndex(2)}, 0, {}, Offset(0)},
  };
  append.groups = {{"billing", "member-1", 12, {{target, Offset(77), LeaderEpoch(4), "note"}}}};
  append.fences = {{"writer", 31}, {"other", 1ull << 63}};
  append.durability = Durability::kWritten;
  append.applied = true;
  append.applied_timeout_ms = 7;
  GroupHeartbeat heartbeat;
  heartbeat.group = "billing";
  heartbeat.member_id = "member-1";
  heartbeat.member_epoch = kEpochLeaveStatic;
  heartbeat.instance_id = "host-a";
  heartbeat.client_name = "ledger";
  heartbeat.topics = {"orders", "", "payments"};
  heartbeat.owned = {target, {"payments", PartitionIndex(2)}};
  heartbeat.assignor = "range";
  heartbeat.session_timeout_ms = 6000;
  return {
      Hello{"ledger", "2.1", 3, 9},
      append,
      Fetch{{{target, Offset(5), 4096}, {{"b", PartitionIndex(1)}, Offset(-1), 0}},
            1,
            2,
            3,
            {"key=7", "", ".a>1"}},
      Subscribe{{{target, Offset(5), 4096}}, 17},
      Credit{3, 1ull << 40},
      Unsubscribe{3},
      ListOffsets{{{target, OffsetSpec::Kind::kTime, Timestamp(1'700'000'000'000)},
                   {target, OffsetSpec::Kind::kEarliest, Timestamp(4)}}},
      CreateTopic{"orders", 12, {{"retention.ms", "1000"}, {"cleanup.policy", ""}}, true},
      DeleteTopic{"orders"},
      AlterTopic{"orders", {{"retention.ms", "5"}}, {"segment.bytes", ""}, 24},
      DescribeTopics{{"orders", "payments"}},
      DeleteRecords{target, Offset(1000)},
      InitProducer{},
      heartbeat,
      FetchGroupOffsets{"billing", {target}},
      ListGroups{},
      DescribeGroup{"billing"},
      DeleteGroup{"billing"},
      Statistics{},
      TakeSnapshot{},
      EraseKey{"e1", "orders", "ann"},
      ListErasures{"e1"},
      Sql{"SELECT 1", {{"orders", PartitionIndex(7), Offset(5)}}, 9, 10, true},
      ViewGet{"totals", {"sea", std::nullopt, ""}, {{"orders", PartitionIndex(7), Offset(5)}}, 9},
      WaitApplied{"totals", {{"orders", PartitionIndex(7), Offset(5)}}, 9},
      SubscribeView{"SUBSCRIBE TO v", "totals", "campaign = 'sea'", SubscribeView::Mode::kChanges,
                    false, true, SubscribeView::After{3, 1ull << 40}, 17},
      ListViews{},
  };
}

inline std::vector<Response> sample_view_responses() {
  return {
      SqlReply{{{"SELECT",
                 {{"campaign", "VARCHAR", AnswerColumn::Role::kDimension},
                  {"total", "DECIMAL(38,2)", AnswerColumn::Role::kMeasure}},
                 2,
                 {"a notice", ""},
                 {{"orders", PartitionIndex(7), Offset(5)}},
                 3,
                 1ull << 40,
                 10},
                {"DROP", {}, 0, {}, {}, 0, 0, 6}}},
      ViewDelivery{9,
                   ViewDelivery::Kind::kReset,
                   3,
                   1ull << 40,
                   true,
                   {{"campaign", "VARCHAR", AnswerColumn::Role::kDimension}},
                   2,
                   16,
                   {{"orders", PartitionIndex(7), Offset(5)}}},
      ViewsReply{{{"totals",
                   ViewStatus::Kind::kStream,
                   ViewStatus::State::kFailed,
                   "DECIMAL overflow",
                   {{"orders", PartitionIndex(7), Offset(5)}},
                   12,
                   {{"records", 5, "records", "read"}},
                   77,
                   "not complete"}}},
  };
}

inline std::vector<Response> sample_responses() {
  const TopicPartition target{"orders", PartitionIndex(7)};
  const std::vector<FetchedPartition> fetched = {
      {target, ErrorCode::kOffsetOutOfRange, "gone", Offset(10), Offset(4), 0, {}},
      {{"b", PartitionIndex(0)}, ErrorCode::kOk, "", Offset(8), Offset(1), 16, {}},
      {{"c", PartitionIndex(0)},
       ErrorCode::kOk,
       "",
       Offset(8),
       Offset(1),
       0,
       {{ProducerId(4), Offset(2)}, {ProducerId(1), Offset(5)}},
       Offset(6),
       true,
       1ull << 33},
  };
  const GroupMember member{"member-1", "host-a", "ledger", "127.0.0.1", 5, {target}};
  std::vector<Response> samples = {
      Failure{ErrorCode::kPartialDuplicate,
              ErrorAction::kMaybePersisted,
              "some were there",
              {{1, 2, Offset(3)}, {0, 7, Offset(9), PartitionIndex(4)}}},
      Done{},
      HelloReply{1, "0.1.0", "cluster", 4096},
      AppendReply{{{Offset(5),
                    Offset(9),
                    Offset(1),
                    Timestamp(77),
                    true,
                    {Offset(5), Offset(6)},
                    {PartitionIndex(2), PartitionIndex(0)}},
                   {Offset(1), Offset(1), Offset(0), kNoTimestamp, false, {}}},
                  Durability::kNone,
                  true},
      FetchReply{fetched},
      SubscribeReply{9},
      Delivery{9, fetched},
      ListOffsetsReply{{{ErrorCode::kUnknownTopic, "no such topic", Offset(4), Timestamp(6)}}},
      TopicsReply{{{"orders",
                    ErrorCode::kUnknownTopic,
                    "id",
                    Timestamp(5),
                    {{PartitionIndex(1), Offset(2), Offset(3), 4, Timestamp(5)}},
                    {{"retention.ms", "1"}}}}},
      DeleteRecordsReply{Offset(12)},
      InitProducerReply{ProducerId(1000), ProducerEpoch(3)},
      GroupHeartbeatReply{"member-1", 4, 3000, {target}},
      GroupOffsetsReply{{{target, Offset(4), LeaderEpoch(2), "note", Timestamp(8)}}},
      GroupsReply{{{"billing", "stable", 5, "range", {member, member}}}},
      SnapshotReply{"/data/snapshots/1", Timestamp(1'700'000'000'000)},
      StatisticsReply{{{"appends", 5, "requests", "Append requests answered"}}},
      ErasuresReply{{{"e1",
                      "orders",
                      Timestamp(5),
                      Timestamp(6),
                      Timestamp(7),
                      {{PartitionIndex(3), Offset(9), 2}},
                      {{PartitionIndex(3), Offset(4), Offset(5)}},
                      true,
                      8,
                      1,
                      "damaged"}}},
  };
  const auto views = sample_view_responses();
  samples.insert(samples.end(), views.begin(), views.end());
  return samples;
}

inline std::uint64_t attachment_of(const Request& r) {
  const auto* append = std::get_if<Append>(&r);
  std::uint64_t sum = 0;
  if (append != nullptr) {
    for (const auto& p : append->partitions) sum += p.bytes;
  }
  return sum;
}
inline std::uint64_t attachment_of(const Response& r) {
  const bool some = std::holds_alternative<FetchReply>(r) || std::holds_alternative<Delivery>(r) ||
                    std::holds_alternative<SqlReply>(r) || std::holds_alternative<ViewDelivery>(r);
  return some ? 16 : 0;
}

}  // namespace runnel::protocol::native
