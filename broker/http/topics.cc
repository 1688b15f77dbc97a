// Topics: list, create, describe, alter, delete. Changes block until they are durable.
#include <algorithm>
#include <functional>
#include <map>
#include <queue>

#include "broker/http/call.h"
#include "broker/http/json_in.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

std::string number_or_null(Timestamp time) {
  return time == kNoTimestamp ? "null" : std::to_string(time.value());
}

std::string json_of(const storage::TopicInfo& info) {
  std::string out = "{\"name\":" + json_string(info.name) +
                    ",\"id\":" + json_string(info.id.to_string()) +
                    ",\"created\":" + number_or_null(info.created) + ",\"partitions\":[";
  for (const storage::PartitionInfo& p : info.partitions) {
    if (out.back() != '[') out += ',';
    out += "{\"partition\":" + std::to_string(p.index.value()) +
           ",\"start\":" + std::to_string(p.log_start.value()) +
           ",\"end\":" + std::to_string(p.last_stable.value()) +
           ",\"bytes\":" + std::to_string(p.bytes) +
           ",\"max_timestamp\":" + number_or_null(p.max_timestamp) + "}";
  }
  out += "],\"configs\":{";
  for (const auto& [name, value] : info.configs) {
    if (out.back() != '{') out += ',';
    out += json_string(name) + ":" + json_string(value);
  }
  return out + "}}";
}

std::string summary_of(const storage::TopicInfo& info) {
  std::uint64_t bytes = 0;
  std::int64_t offsets = 0;
  for (const storage::PartitionInfo& p : info.partitions) {
    bytes += p.bytes;
    offsets += p.last_stable - p.log_start;
  }
  return "{\"name\":" + json_string(info.name) +
         ",\"partitions\":" + std::to_string(info.partitions.size()) +
         ",\"offsets\":" + std::to_string(offsets) + ",\"bytes\":" + std::to_string(bytes) + "}";
}

Result<Response> described(const storage::Store& store, const std::string& name, unsigned status) {
  RUNNEL_TRY_ASSIGN(const auto info, store.describe_topic(name));
  Response out = json(json_of(info) + "\n", status);
  return out;
}

/// The largest ones, without a next page.
Response largest(const CallRef& call, std::string_view prefix, std::size_t limit) {
  using Sized = std::pair<std::uint64_t, std::string>;  // bytes and summary, the smallest on top
  std::priority_queue<Sized, std::vector<Sized>, std::greater<>> kept;
  for (const std::string& name : call->store().topic_names()) {
    if (!name.starts_with(prefix)) continue;
    const auto info = call->store().describe_topic(name);
    if (!info) continue;  // deleted meanwhile
    std::uint64_t bytes = 0;
    for (const storage::PartitionInfo& p : info->partitions) bytes += p.bytes;
    if (kept.size() == limit && bytes <= kept.top().first) continue;
    kept.emplace(bytes, summary_of(*info));
    if (kept.size() > limit) kept.pop();
  }
  std::string topics;
  for (; !kept.empty(); kept.pop()) {
    topics.insert(0, kept.top().second + (topics.empty() ? "" : ","));
  }
  return json("{\"topics\":[" + topics + "],\"next\":null}\n");
}

void list(const CallRef& call) {
  answer_blocking(call, [call] {
    const std::string prefix(call->query("prefix").value_or(""));
    const std::string after(call->query("after").value_or(""));
    const auto limit = static_cast<std::size_t>(call->integer("limit", 1000));
    if (call->query("order") == "bytes") return largest(call, prefix, limit);
    const std::vector<std::string> names = call->store().topic_names();
    std::string body = "{\"topics\":[";
    std::string last;
    std::string next = "null";
    std::size_t count = 0;
    for (auto at = std::upper_bound(names.begin(), names.end(), after); at != names.end(); ++at) {
      if (!at->starts_with(prefix)) continue;
      if (count == limit) {
        next = json_string(last);
        break;
      }
      const auto info = call->store().describe_topic(*at);
      if (!info) continue;  // deleted meanwhile
      if (count++ > 0) body += ',';
      body += summary_of(*info);
      last = *at;
    }
    return json(body + "],\"next\":" + next + "}\n");
  });
}

struct NewTopic {
  storage::TopicSpec spec;
  bool if_not_exists = false;
};

/// {"name": "value"}; null where `nullable`.
template <class Add>
Status read_configs(JsonReader& in, bool nullable, const Add& add) {
  return in.object("configs", [&](std::string_view name) -> Status {
    const std::string what = "the config " + std::string(name);
    if (!nullable || in.peek() != JsonReader::Kind::kNull) {
      RUNNEL_TRY_ASSIGN(const auto value, in.text(what));
      add(std::string(name), std::optional<std::string>(value));
      return {};
    }
    RUNNEL_TRY(in.text_or_null(what));
    add(std::string(name), std::nullopt);
    return {};
  });
}

Result<std::int32_t> read_partitions(JsonReader& in) {
  RUNNEL_TRY_ASSIGN(const std::int64_t count, in.integer("partitions"));
  if (count >= 1 && count <= storage::kMaxPartitionsPerTopic) {
    return static_cast<std::int32_t>(count);
  }
  return fail(
      ErrorCode::kInvalidArgument,
      "a topic can have 1 to " + std::to_string(storage::kMaxPartitionsPerTopic) + " partitions");
}

Result<NewTopic> read_new_topic(std::string_view body) {
  JsonReader in(body);
  NewTopic out;
  const Status members = in.object("the body", [&](std::string_view name) -> Status {
    if (name == "name") {
      RUNNEL_TRY_ASSIGN(out.spec.name, in.text("name"));
    } else if (name == "partitions") {
      RUNNEL_TRY_ASSIGN(out.spec.partitions, read_partitions(in));
    } else if (name == "configs") {
      RUNNEL_TRY(read_configs(in, false, [&](std::string key, std::optional<std::string> value) {
        out.spec.configs[std::move(key)] = std::move(*value);
      }));
    } else if (name == "if_not_exists") {
      RUNNEL_TRY_ASSIGN(out.if_not_exists, in.boolean("if_not_exists"));
    } else {
      return in.unknown(name, "name, partitions, configs, if_not_exists");
    }
    return {};
  });
  RUNNEL_TRY(members);
  RUNNEL_TRY(in.end());
  if (out.spec.name.empty()) {
    return fail(ErrorCode::kInvalidTopicName, "the topic has no name; give one as name");
  }
  return out;
}

void create(const CallRef& call) {
  auto topic = read_new_topic(call->request().body);
  if (!topic) return call->fail(topic.error());
  answer_blocking(call, [call, topic = std::move(*topic)]() -> Result<Response> {
    const auto created = call->store().create_topic(topic.spec);
    if (!created) {
      const bool there = created.error().code() == ErrorCode::kTopicExists;
      if (!there || !topic.if_not_exists) return fail(created.error());
      return described(call->store(), topic.spec.name, 200);
    }
    Response out = json(json_of(*created) + "\n", 201);
    out.headers.push_back({"Location", "/api/v1/topics/" + topic.spec.name});
    return out;
  });
}

void describe(const CallRef& call) {
  answer_blocking(call, [call] { return described(call->store(), call->path("topic"), 200); });
}

struct Changes {
  std::map<std::string, std::optional<std::string>> configs;
  std::optional<std::int32_t> partitions;
};

Result<Changes> read_changes(std::string_view body) {
  JsonReader in(body);
  Changes out;
  const Status members = in.object("the body", [&](std::string_view name) -> Status {
    if (name == "partitions") {
      RUNNEL_TRY_ASSIGN(out.partitions, read_partitions(in));
    } else if (name == "configs") {
      RUNNEL_TRY(read_configs(in, true, [&](std::string key, std::optional<std::string> value) {
        out.configs[std::move(key)] = std::move(value);
      }));
    } else {
      return in.unknown(name, "partitions, configs");
    }
    return {};
  });
  RUNNEL_TRY(members);
  RUNNEL_TRY(in.end());
  return out;
}

Status check_partitions(const std::string& topic, std::int32_t now, std::int32_t wanted) {
  if (wanted >= now && wanted <= storage::kMaxPartitionsPerTopic) return {};
  return fail(ErrorCode::kInvalidArgument,
              "topic '" + topic + "' has " + std::to_string(now) + " partitions and may get " +
                  std::to_string(storage::kMaxPartitionsPerTopic) +
                  "; partitions can be added, not removed. Nothing was changed");
}

void alter(const CallRef& call) {
  auto changes = read_changes(call->request().body);
  if (!changes) return call->fail(changes.error());
  answer_blocking(call, [call, changes = std::move(*changes)]() -> Result<Response> {
    storage::Store& store = call->store();
    const std::string& topic = call->path("topic");
    RUNNEL_TRY_ASSIGN(const auto info, store.describe_topic(topic));
    const auto now = static_cast<std::int32_t>(info.partitions.size());
    // Before anything is changed: a refusal means that nothing was.
    if (changes.partitions) RUNNEL_TRY(check_partitions(topic, now, *changes.partitions));
    if (!changes.configs.empty()) RUNNEL_TRY(store.alter_topic(topic, changes.configs));
    if (changes.partitions && *changes.partitions != now) {
      if (const Status done = store.add_partitions(topic, *changes.partitions); !done) {
        const Error& error = done.error();
        return fail(changes.configs.empty() ? error
                                            : error.within("the configs were changed, but"));
      }
    }
    return described(store, topic, 200);
  });
}

void remove(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    RUNNEL_TRY(call->store().delete_topic(call->path("topic")));
    return Response{204, {}, {}, {}};
  });
}

void statistics(const CallRef& call) {
  answer_blocking(call, [call] {
    std::string body = "{\"statistics\":[";
    for (const auto& s : call->service().all_statistics()) {
      if (body.back() != '[') body += ',';
      body += "{\"name\":" + json_string(s.name) + ",\"value\":" + std::to_string(s.value) +
              ",\"unit\":" + json_string(s.unit) + ",\"text\":" + json_string(s.text) + "}";
    }
    return json(body + "]}\n");
  });
}

}  // namespace

std::vector<Route> topic_routes() {
  const std::vector<Content> topic{{kJson, "Topic"}};
  const std::string_view path = "/api/v1/topics/{topic}";
  return {
      {.pattern = "/api/v1/topics",
       .handler = list,
       .id = "listTopics",
       .tag = "topics",
       .summary = "Topics by name",
       .query = {{.name = "prefix", .text = "Only topics whose names begin so."},
                 {.name = "after", .text = "Only topics behind this name: `next` of a page."},
                 {.name = "order",
                  .kind = Param::Kind::kChoice,
                  .text = "bytes: the largest first, `limit` of them and no more; after has no "
                          "meaning then.",
                  .choices = "name|bytes"},
                 {.name = "limit",
                  .kind = Param::Kind::kInteger,
                  .text = "Most topics of the page; 1000 if left out.",
                  .min = 1,
                  .max = kMaxListed}},
       .answers = {{200, "A page of topics.", {{kJson, "TopicList"}}}}},
      {.method = Method::kPost,
       .pattern = "/api/v1/topics",
       .handler = create,
       .id = "createTopic",
       .tag = "topics",
       .summary = "Creates a topic",
       .bodies = {{kJson, "NewTopic"}},
       .answers = {{201, "The topic, which is on stable storage.", topic},
                   {200, "It was there, and if_not_exists was given.", topic}}},
      {.pattern = path,
       .handler = describe,
       .id = "describeTopic",
       .tag = "topics",
       .summary = "A topic, its partitions and the configs that were set",
       .answers = {{200, "The topic.", topic}}},
      {.method = Method::kPatch,
       .pattern = path,
       .handler = alter,
       .id = "alterTopic",
       .tag = "topics",
       .summary = "Changes configs (null: back to the default) and raises the partitions",
       .bodies = {{kJson, "TopicChanges"}},
       .answers = {{200, "The topic as it is now.", topic}}},
      {.method = Method::kDelete,
       .pattern = path,
       .handler = remove,
       .id = "deleteTopic",
       .tag = "topics",
       .summary = "Deletes a topic with all its records",
       .answers = {{204, "It is gone."}}},
      {.pattern = "/api/v1/statistics",
       .handler = statistics,
       .id = "getStatistics",
       .tag = "health",
       .summary = "All figures of the broker, each with its unit and what it means",
       .answers = {{200, "The figures.", {{kJson, "StatisticList"}}}}},
  };
}

}  // namespace runnel::broker::http
