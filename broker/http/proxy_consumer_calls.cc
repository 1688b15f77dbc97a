// The REST proxy v2: consumer instances, what they subscribe to or are assigned, where they are.
#include <charconv>

#include "broker/http/limits.h"
#include "broker/http/proxy_consumers.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

/// Runs `work` on the consumers' thread and answers with its body; empty: 204.
void answer_consumers(const CallRef& call,
                      std::function<Reply<std::string>(Call&, ProxyConsumers&)> work) {
  call->service().consumers().post([call, work = std::move(work)](ProxyConsumers& consumers) {
    auto body = work(*call, consumers);
    call->on_loop([call, body = std::move(body)] {
      if (!body) return fail_proxy(call, body.error());
      call->reply(body->empty() ? proxy_response(*call, 204, {})
                                : proxy_response(*call, 200, *body + "\n"));
    });
  });
}

Reply<InstanceRef> instance_of(const Call& call, ProxyConsumers& consumers) {
  return consumers.find(call.path("group"), call.path("instance"));
}

// ---------------------------------------------------------------- instances
struct NewInstance {
  std::string name;
  InstanceConfig config;
};

/// Confluent's clients send numbers and booleans as strings, too.
Result<std::string> setting(JsonReader& in, std::string_view name) {
  if (in.peek() == JsonReader::Kind::kString) {
    RUNNEL_TRY_ASSIGN(const auto text, in.text(name));
    return std::string(text);
  }
  RUNNEL_TRY_ASSIGN(const auto raw, in.raw(name));
  return std::string(raw);
}

tl::unexpected<Error> bad_setting(std::string_view name, std::string_view wanted) {
  return fail(ErrorCode::kInvalidConfig, std::string(name) + " has to be " + std::string(wanted));
}

Result<std::chrono::milliseconds> wait_named(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr auto kMost = std::chrono::milliseconds(kMaxWait).count();
  if (failed == std::errc() && end == text.data() + text.size() && number >= 0 && number <= kMost) {
    return std::chrono::milliseconds(number);
  }
  return bad_setting("consumer.request.timeout.ms", "0 to " + std::to_string(kMost));
}

Status read_setting(JsonReader& in, std::string_view name, NewInstance& to) {
  RUNNEL_TRY_ASSIGN(const std::string value, setting(in, name));
  InstanceConfig& config = to.config;
  if (value == "null") return {};
  if (name == "name" || name == "id") {
    to.name = value;
  } else if (name == "format") {
    config.json = value == "json";
    if (value != "json" && value != "binary") return bad_setting(name, "binary or json");
  } else if (name == "auto.offset.reset") {
    using enum InstanceConfig::Reset;
    if (value != "earliest" && value != "latest" && value != "none") {
      return bad_setting(name, "earliest, latest or none");
    }
    config.reset = value == "earliest" ? kEarliest : value == "latest" ? kLatest : kNone;
  } else if (name == "auto.commit.enable") {
    if (value != "true" && value != "false") return bad_setting(name, "true or false");
    config.auto_commit = value == "true";
  } else if (name == "consumer.request.timeout.ms") {
    RUNNEL_TRY_ASSIGN(config.records_wait, wait_named(value));
  } else if (name != "fetch.min.bytes") {  // an answer waits for its first record
    return in.unknown(name,
                      "name, format, auto.offset.reset, auto.commit.enable, fetch.min.bytes, "
                      "consumer.request.timeout.ms");
  }
  return {};
}

void create(const CallRef& call) {
  NewInstance wanted;
  if (!call->request().body.empty()) {
    JsonReader in(call->request().body);
    Status read = in.object("the body",
                            [&](std::string_view name) { return read_setting(in, name, wanted); });
    if (read) read = in.end();
    if (!read) {
      const bool config = read.error().code() == ErrorCode::kInvalidConfig;
      return fail_proxy(call, config ? Refusal{ProxyCode::kInvalidConfig, read.error().message()}
                                     : bad_body(read.error()));
    }
  }
  answer_consumers(call, [wanted](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto made,
                         consumers.create(within.path("group"), wanted.name, wanted.config,
                                          "/" + within.remote().host));
    return "{\"instance_id\":" + json_string(made->name) + ",\"base_uri\":" +
           json_string(base_of(within) + "/consumers/" + percent_encode(made->group) +
                       "/instances/" + percent_encode(made->name)) +
           "}";
  });
}

void remove(const CallRef& call) {
  answer_consumers(call, [](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
    consumers.remove(instance);
    return std::string();
  });
}

// ---------------------------------------------------------------- subscriptions, assignments
void subscribe(const CallRef& call) {
  std::vector<std::string> topics;
  std::string pattern;
  JsonReader in(call->request().body);
  Status read = in.object("the body", [&](std::string_view name) -> Status {
    if (name == "topics") {
      return in.array("topics", [&]() -> Status {
        RUNNEL_TRY_ASSIGN(const auto topic, in.text("a topic"));
        topics.emplace_back(topic);
        return {};
      });
    }
    if (name != "topic_pattern") return in.unknown(name, "topics, topic_pattern");
    RUNNEL_TRY_ASSIGN(const auto text, in.text_or_null("topic_pattern"));
    pattern = text.value_or("");
    return {};
  });
  if (read) read = in.end();
  if (!read) return fail_proxy(call, bad_body(read.error()));
  answer_consumers(
      call, [topics, pattern](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
        RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
        RUNNEL_ANSWER(consumers.subscribe(instance, topics, pattern));
        return std::string();
      });
}

void subscription(const CallRef& call) {
  answer_consumers(call, [](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
    std::string out = "{\"topics\":[";
    for (const std::string& topic : instance->topics) {
      out += (out.back() == '[' ? "" : ",") + json_string(topic);
    }
    out += ']';
    if (!instance->pattern.empty()) {
      out += ",\"topic_pattern\":" + json_string(instance->pattern);
    }
    return out + "}";
  });
}

void unsubscribe(const CallRef& call) {
  answer_consumers(call, [](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
    consumers.unsubscribe(instance);
    return std::string();
  });
}

void assign(const CallRef& call) {
  const auto places = read_places(*call, "partitions");
  if (!places) return fail_proxy(call, places.error());
  answer_consumers(
      call, [places = *places](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
        RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
        RUNNEL_ANSWER(consumers.assign(instance, places));
        return std::string();
      });
}

void assignments(const CallRef& call) {
  answer_consumers(call, [](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
    std::string out = "{\"partitions\":[";
    for (const auto& [key, place] : instance->places) {
      out += (out.back() == '[' ? "" : ",") + ("{\"topic\":" + json_string(key.first)) +
             ",\"partition\":" + std::to_string(key.second) + "}";
    }
    return out + "]}";
  });
}

// ---------------------------------------------------------------- places
/// Each of the places is one of the instance's; `to` says where it goes.
Reply<std::string> seek(
    const InstanceRef& instance, const std::vector<ProxyPlace>& places,
    const std::function<Offset(const ProxyPlace&, const ProxyInstance::Place&)>& to) {
  for (const ProxyPlace& each : places) {
    if (instance->places.contains({each.topic, each.partition.value()})) continue;
    return refuse(ProxyCode::kPartitionNotFound,
                  "the instance has no partition " + each.topic + "/" +
                      std::to_string(each.partition.value()) +
                      " now; ask for records once, and it joins its group");
  }
  for (const ProxyPlace& each : places) {
    auto& place = instance->places.at({each.topic, each.partition.value()});
    place.next = to(each, place);
  }
  ++instance->epoch;  // what is being read does not count
  return std::string();
}

void move(const CallRef& call) {
  const auto places = read_places(*call, "offsets");
  if (!places) return fail_proxy(call, places.error());
  answer_consumers(
      call, [places = *places](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
        RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
        for (const ProxyPlace& each : places) {
          if (each.offset.value() < 0) return refuse(422, "an offset is a number from 0 on");
        }
        return seek(instance, places,
                    [](const ProxyPlace& place, const auto&) { return place.offset; });
      });
}

void move_to_an_end(const CallRef& call) {
  const auto places = read_places(*call, "partitions");
  if (!places) return fail_proxy(call, places.error());
  answer_consumers(
      call, [places = *places](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
        RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
        const bool to_end = within.route().pattern.ends_with("/end");
        return seek(instance, places, [&](const ProxyPlace&, const ProxyInstance::Place& place) {
          const auto info = within.store().partition_info(place.ref);
          return to_end ? info.last_stable : info.log_start;
        });
      });
}

void commit(const CallRef& call) {
  std::optional<std::vector<ProxyPlace>> places;
  if (!call->request().body.empty()) {
    auto read = read_places(*call, "offsets");
    if (!read) return fail_proxy(call, read.error());
    places = std::move(*read);
    // What is named is the last one that was taken care of, as in Confluent's proxy.
    for (ProxyPlace& each : *places) each.offset = each.offset + 1;
  }
  call->service().consumers().post([call, places](ProxyConsumers& consumers) {
    const auto instance = instance_of(*call, consumers);
    if (!instance) {
      return call->on_loop([call, why = instance.error()] { fail_proxy(call, why); });
    }
    consumers.commit(*instance, places ? &*places : nullptr, [call](const Status& done) {
      call->on_loop([call, done] {
        if (!done) return fail_proxy(call, proxy_refusal(done.error(), false));
        call->reply(proxy_response(*call, 200, "{}\n"));
      });
    });
  });
}

/// By a body, or of all partitions that the instance has.
void committed(const CallRef& call) {
  std::vector<ProxyPlace> places;
  const bool named = !call->request().body.empty();
  if (named) {
    auto read = read_places(*call, "partitions");
    if (!read) return fail_proxy(call, read.error());
    places = std::move(*read);
  }
  answer_consumers(
      call, [places, named](Call& within, ProxyConsumers& consumers) -> Reply<std::string> {
        RUNNEL_ANSWER_ASSIGN(const auto instance, instance_of(within, consumers));
        std::vector<ProxyPlace> asked = places;
        if (!named) {
          for (const auto& [key, place] : instance->places) {
            asked.push_back({key.first, PartitionIndex(key.second)});
          }
        }
        std::string out = "{\"offsets\":[";
        for (const ProxyPlace& each : asked) {
          const auto known =
              within.store().committed_offset(instance->group, each.topic, each.partition);
          if (!known) return tl::unexpected<Refusal>(proxy_refusal(known.error(), false));
          if (!*known || (*known)->offset.value() < 0) continue;
          out += (out.back() == '[' ? "" : ",") + ("{\"topic\":" + json_string(each.topic)) +
                 ",\"partition\":" + std::to_string(each.partition.value()) +
                 ",\"offset\":" + std::to_string((*known)->offset.value()) +
                 ",\"metadata\":" + json_string((*known)->metadata) + "}";
        }
        return out + "]}";
      });
}

}  // namespace

std::vector<Route> proxy_consumer_routes() {
  using enum Method;
  constexpr std::string_view kSubscription = "/consumers/{group}/instances/{instance}/subscription";
  constexpr std::string_view kAssignments = "/consumers/{group}/instances/{instance}/assignments";
  constexpr std::string_view kOffsets = "/consumers/{group}/instances/{instance}/offsets";
  const auto with_body = [](Route route, std::string_view schema, bool optional = false) {
    route.bodies = proxy_body(schema);
    route.optional_body = optional;
    return route;
  };
  return {
      with_body(proxy_route(kPost, "/consumers/{group}", create, "proxyMakeInstance",
                            "Makes a consumer instance, a member of the group", "Instance"),
                "NewInstance", true),
      proxy_route(kDelete, "/consumers/{group}/instances/{instance}", remove, "proxyRemoveInstance",
                  "Takes an instance out of its group", ""),
      with_body(proxy_route(kPost, kSubscription, subscribe, "proxySubscribe",
                            "Subscribes to topics; the group shares out their partitions", ""),
                "Subscription"),
      proxy_route(kGet, kSubscription, subscription, "proxySubscription",
                  "What an instance subscribes to", "Subscription"),
      proxy_route(kDelete, kSubscription, unsubscribe, "proxyUnsubscribe",
                  "Ends a subscription or assignment", ""),
      with_body(proxy_route(kPost, kAssignments, assign, "proxyAssign",
                            "Gives an instance partitions, past the group", ""),
                "ProxyPartitions"),
      proxy_route(kGet, kAssignments, assignments, "proxyAssignments",
                  "The partitions that an instance has now", "ProxyPartitions"),
      with_body(proxy_route(kPost, "/consumers/{group}/instances/{instance}/positions", move,
                            "proxyMove", "Where to read on", ""),
                "ProxyOffsets"),
      with_body(
          proxy_route(kPost, "/consumers/{group}/instances/{instance}/positions/beginning",
                      move_to_an_end, "proxyMoveToBeginning", "Reads from the first records", ""),
          "ProxyPartitions"),
      with_body(proxy_route(kPost, "/consumers/{group}/instances/{instance}/positions/end",
                            move_to_an_end, "proxyMoveToEnd", "Reads what is new from now on", ""),
                "ProxyPartitions"),
      with_body(proxy_route(kPost, kOffsets, commit, "proxyCommit",
                            "Commits what was read, or the offsets behind those that are named",
                            "AnyObject"),
                "ProxyOffsets", true),
      with_body(proxy_route(kGet, kOffsets, committed, "proxyCommitted",
                            "What the group has committed", "ProxyOffsets"),
                "ProxyPartitions", true),
  };
}

}  // namespace runnel::broker::http
