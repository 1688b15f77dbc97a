// Offsets by time, committed offsets, producer ids: lookups that may read the disk.
#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

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
      return {To::kEarliest, spec.time};
    case From::kLatest:
      return {To::kLatest, spec.time};
    case From::kMaxTimestamp:
      return {To::kMaxTimestamp, spec.time};
    case From::kTime:
      return {To::kTime, spec.time};
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

native::Response group_offsets(const storage::Store& store, native::FetchGroupOffsets& request) {
  native::GroupOffsetsReply reply;
  if (request.partitions.empty()) {
    for (storage::CommittedOffset& c : store.committed_offsets(request.group)) {
      reply.offsets.push_back(offset_of(std::move(c)));
    }
    return reply;
  }
  for (native::TopicPartition& target : request.partitions) {
    auto found = store.committed_offset(request.group, target.topic, target.partition);
    if (found) {
      reply.offsets.push_back(offset_of(std::move(*found)));
    } else {
      native::GroupOffset none;
      none.target = std::move(target);
      reply.offsets.push_back(std::move(none));
    }
  }
  return reply;
}

}  // namespace

void NativeSession::handle(std::uint64_t id, native::ListOffsets& request) {
  if (request.partitions.size() > kMaxRequestPartitions) {
    return fail_request(
        id, Error(ErrorCode::kTooManyPartitions, "a request may have 10000 partitions"));
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
  run_blocking(id, [&store = service_.store(), lookups = std::move(lookups)]() mutable {
    native::ListOffsetsReply reply;
    for (Lookup& lookup : lookups) {
      if (lookup.partition) {
        if (const auto found = store.find_offset(lookup.partition, lookup.query)) {
          lookup.answer.offset = found->offset;
          lookup.answer.timestamp = found->timestamp;
        } else {
          set_error(lookup.answer, found.error());
        }
      }
      reply.partitions.push_back(std::move(lookup.answer));
    }
    return reply;
  });
}

void NativeSession::handle(std::uint64_t id, native::FetchGroupOffsets& request) {
  if (request.partitions.size() > kMaxRequestPartitions) {
    return fail_request(
        id, Error(ErrorCode::kTooManyPartitions, "a request may have 10000 partitions"));
  }
  run_blocking(id, [&store = service_.store(), request = std::move(request)]() mutable {
    return group_offsets(store, request);
  });
}

void NativeSession::handle(std::uint64_t id, const native::InitProducer&) {
  run_blocking(id, [&store = service_.store()] {
    const auto made = store.new_producer();
    return made ? native::Response(native::InitProducerReply{made->id, made->epoch})
                : native::Response(failure_of(made.error()));
  });
}

}  // namespace runnel::broker
