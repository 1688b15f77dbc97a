// Offsets by time, committed offsets, producer ids: lookups that may read the disk.
#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

/// A connection works so long before another has its turn; one lookup may take longer.
constexpr std::chrono::milliseconds kPiece{2};

struct Lookup {
  native::OffsetFound answer;  ///< when there is no partition
  storage::PartitionRef partition;
  storage::OffsetQuery query;
};

storage::OffsetQuery query_of(const native::OffsetSpec& spec) {
  using From = native::OffsetSpec::Kind;
  using To = storage::OffsetQuery::Kind;
  switch (spec.kind) {
    case From::kEarliest:
      return {To::kEarliest, spec.time, true};
    case From::kLatest:
      return {To::kLatest, spec.time, true};
    case From::kMaxTimestamp:
      return {To::kMaxTimestamp, spec.time, true};
    case From::kTime:
      return {To::kTime, spec.time, true};
  }
  return {};
}

void set_error(native::OffsetFound& answer, const Error& error) {
  answer.error = error.code();
  answer.error_message = error.message();
}

native::GroupOffset offset_of(storage::CommittedOffset c) {
  return {{std::move(c.topic), c.partition},
          c.offset,
          c.leader_epoch,
          std::move(c.metadata),
          c.committed};
}

native::Response all_group_offsets(const storage::Store& store, const std::string& group) {
  auto offsets = store.committed_offsets(group);
  if (!offsets) return failure_of(offsets.error());
  native::GroupOffsetsReply reply;
  for (storage::CommittedOffset& c : *offsets) {
    reply.offsets.push_back(offset_of(std::move(c)));
  }
  return reply;
}

Result<native::GroupOffset> group_offset(const storage::Store& store, const std::string& group,
                                         native::TopicPartition& target) {
  RUNNEL_TRY_ASSIGN(auto found, store.committed_offset(group, target.topic, target.partition));
  if (found) return offset_of(std::move(*found));
  native::GroupOffset none;
  none.target = std::move(target);
  return none;
}

native::OffsetFound look_up(const storage::Store& store, Lookup& lookup) {
  if (!lookup.partition) return std::move(lookup.answer);
  if (const auto found = store.find_offset(lookup.partition, lookup.query)) {
    lookup.answer.offset = found->offset;
    lookup.answer.timestamp = found->timestamp;
  } else {
    set_error(lookup.answer, found.error());
  }
  return std::move(lookup.answer);
}

/// Calls `answer` for items of `from`, from `to.size()` on, until all are done (true) or a piece's
/// time is over.
template <class From, class To, class F>
bool go_on(storage::Clock& clock, std::vector<From>& from, std::vector<To>& to, F answer) {
  const auto end = clock.monotonic() + kPiece;
  while (to.size() < from.size()) {
    to.push_back(answer(from[to.size()]));
    if (clock.monotonic() >= end) break;
  }
  return to.size() == from.size();
}

}  // namespace

void NativeSession::handle(std::uint64_t id, native::ListOffsets& request) {
  if (request.partitions.size() > kMaxRequestPartitions) {
    return fail_request(
        id, Error(ErrorCode::kTooManyPartitions, "a request may have 10000 partitions"));
  }
  MemoryLease lease;
  if (const Status paid = charge(request.partitions.size(), lease); !paid) {
    return fail_request(id, paid.error());
  }
  std::vector<Lookup> lookups;
  lookups.reserve(request.partitions.size());
  for (const native::OffsetSpec& spec : request.partitions) {
    Lookup lookup;
    lookup.query = query_of(spec);
    auto found = partition(spec.target);
    if (found) {
      lookup.partition = std::move(*found);
    } else {
      set_error(lookup.answer, found.error());
    }
    lookups.push_back(std::move(lookup));
  }
  run_in_pieces(
      id,
      [&store = service_.store(), &clock = service_.clock(), lookups = std::move(lookups),
       reply = native::ListOffsetsReply()]() mutable -> std::optional<native::Response> {
        const bool all = go_on(clock, lookups, reply.partitions,
                               [&](Lookup& lookup) { return look_up(store, lookup); });
        if (!all) return std::nullopt;
        return std::move(reply);
      },
      std::move(lease));
}

void NativeSession::handle(std::uint64_t id, native::FetchGroupOffsets& request) {
  if (request.partitions.size() > kMaxRequestPartitions) {
    return fail_request(
        id, Error(ErrorCode::kTooManyPartitions, "a request may have 10000 partitions"));
  }
  if (request.partitions.empty()) {
    return run_blocking(id, [&store = service_.store(), group = std::move(request.group)] {
      return all_group_offsets(store, group);
    });
  }
  MemoryLease lease;
  if (const Status paid = charge(request.partitions.size(), lease); !paid) {
    return fail_request(id, paid.error());
  }
  run_in_pieces(
      id,
      [&store = service_.store(), &clock = service_.clock(), request = std::move(request),
       reply = native::GroupOffsetsReply()]() mutable -> std::optional<native::Response> {
        std::optional<Error> failed;
        const bool all =
            go_on(clock, request.partitions, reply.offsets, [&](native::TopicPartition& target) {
              auto found = group_offset(store, request.group, target);
              if (found) return std::move(*found);
              failed = found.error();
              return native::GroupOffset();
            });
        if (failed) return native::Response(failure_of(*failed));
        if (!all) return std::nullopt;
        return std::move(reply);
      },
      std::move(lease));
}

void NativeSession::handle(std::uint64_t id, const native::InitProducer&) {
  run_blocking(id, [&store = service_.store()] {
    const auto made = store.new_producer();
    return made ? native::Response(native::InitProducerReply{made->id, made->epoch})
                : native::Response(failure_of(made.error()));
  });
}

}  // namespace runnel::broker
