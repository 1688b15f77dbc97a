// Topic administration. Blocks until it is durable, so it runs on the service's worker.
#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

/// More would not fit into a message (about 50 bytes each).
constexpr std::size_t kMaxDescribedPartitions = 120'000;

native::TopicDescription description_of(const storage::TopicInfo& info) {
  native::TopicDescription out;
  out.name = info.name;
  out.id = info.id.to_string();
  out.created = info.created;
  out.partitions.reserve(info.partitions.size());
  for (const storage::PartitionInfo& p : info.partitions) {
    out.partitions.push_back({p.index, p.log_start, p.last_stable, p.bytes, p.max_timestamp});
  }
  out.configs.assign(info.configs.begin(), info.configs.end());
  return out;
}

native::Response describe_one(storage::Store& store, const std::string& name) {
  const auto info = store.describe_topic(name);
  if (!info) return failure_of(info.error());
  return native::TopicsReply{{description_of(*info)}};
}

native::Response create(storage::Store& store, native::CreateTopic& request) {
  storage::TopicSpec spec;
  spec.name = request.name;
  spec.partitions = request.partitions;
  for (native::Config& config : request.configs) {
    if (!spec.configs.emplace(config.first, std::move(config.second)).second) {
      return failure_of(Error(ErrorCode::kInvalidConfig,
                              "the config " + config.first + " is given more than once"));
    }
  }
  const auto created = store.create_topic(spec);
  if (created) return native::TopicsReply{{description_of(*created)}};
  if (created.error().code() == ErrorCode::kTopicExists && request.if_not_exists) {
    return describe_one(store, request.name);
  }
  return failure_of(created.error());
}

native::Response alter(storage::Store& store, native::AlterTopic& request) {
  std::map<std::string, std::optional<std::string>> changes;
  for (std::string& key : request.unset) changes.emplace(std::move(key), std::nullopt);
  for (native::Config& config : request.set) {
    if (!changes.emplace(config.first, std::move(config.second)).second) {
      return failure_of(Error(ErrorCode::kInvalidConfig,
                              "the config " + config.first + " is given more than once"));
    }
  }
  if (!changes.empty()) {
    if (const Status done = store.alter_topic(request.name, changes); !done) {
      return failure_of(done.error());
    }
  }
  if (request.partitions != 0) {
    if (const Status done = store.add_partitions(request.name, request.partitions); !done) {
      const Error& error = done.error();
      return failure_of(changes.empty() ? error : error.within("the configs were changed, but"));
    }
  }
  return describe_one(store, request.name);
}

native::Response describe(storage::Store& store, native::DescribeTopics& request) {
  const bool all = request.names.empty();
  const std::vector<std::string> names = all ? store.topic_names() : std::move(request.names);
  native::TopicsReply reply;
  std::size_t partitions = 0;
  for (const std::string& name : names) {
    const auto info = store.describe_topic(name);
    if (!info) {
      if (all) continue;  // deleted meanwhile
      native::TopicDescription missing;
      missing.name = name;
      missing.error = info.error().code();
      reply.topics.push_back(std::move(missing));
      continue;
    }
    partitions += info->partitions.size();
    if (partitions > kMaxDescribedPartitions) {
      return failure_of(Error(ErrorCode::kTooManyPartitions,
                              "the topics have more partitions than one answer can hold; ask for "
                              "fewer topics by name"));
    }
    reply.topics.push_back(description_of(*info));
  }
  return reply;
}

}  // namespace

void NativeSession::handle(std::uint64_t id, native::CreateTopic& request) {
  run_blocking(id, [&store = service_.store(), request = std::move(request)]() mutable {
    return create(store, request);
  });
}

void NativeSession::handle(std::uint64_t id, native::DeleteTopic& request) {
  forget_partitions();
  run_blocking(id, [&store = service_.store(), name = std::move(request.name)] {
    const Status done = store.delete_topic(name);
    return done ? native::Response(native::Done{}) : native::Response(failure_of(done.error()));
  });
}

void NativeSession::handle(std::uint64_t id, native::AlterTopic& request) {
  run_blocking(id, [&store = service_.store(), request = std::move(request)]() mutable {
    return alter(store, request);
  });
}

void NativeSession::handle(std::uint64_t id, native::DescribeTopics& request) {
  run_blocking(id, [&store = service_.store(), request = std::move(request)]() mutable {
    return describe(store, request);
  });
}

void NativeSession::handle(std::uint64_t id, const native::DeleteRecords& request) {
  auto found = partition(request.target);
  if (!found) return fail_request(id, found.error());
  run_blocking(id,
               [&store = service_.store(), partition = std::move(*found), before = request.before] {
                 const auto done = store.delete_records(partition, before);
                 return done ? native::Response(native::DeleteRecordsReply{*done})
                             : native::Response(failure_of(done.error()));
               });
}

}  // namespace runnel::broker
