// The REST proxy v2: records of a consumer instance. The instance's places are copied, read from on
// workers like any other records, and moved when the answer is made.
#include <algorithm>
#include <limits>
#include <utility>

#include "broker/http/limits.h"
#include "broker/http/proxy_consumers.h"
#include "broker/http/record_scan.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"
#include "protocol/text/base64.h"
#include "storage/views/json/scan.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;

/// Until what an instance lacks was tried to be taken: a look of the consumers' thread later.
constexpr std::chrono::milliseconds kBehindTake{100};

/// A request for records.
struct Fetch {
  CallRef call;
  InstanceRef instance;
  ProxyConsumers* consumers = nullptr;
  std::chrono::steady_clock::time_point deadline;
  std::uint64_t epoch = 0;               ///< of the places
  std::vector<ProxyInstance::Key> keys;  ///< the scan's partitions are places in it
  std::vector<Offset> next;              ///< behind what the answer has
  std::unique_ptr<RecordScan> scan;
  /// The first record that the instance's format has no form for; what follows is not given.
  std::optional<std::string> unfit;
  MemoryLease lease;
  bool waited = false;
  storage::FetchTicket ticket = 0;
  bool told = false;  ///< the waiting fetch has

  /// Another request may read. Where it is called, nothing else touches this.
  void release() {
    if (consumers == nullptr) return;
    std::exchange(consumers, nullptr)->post([held = instance](ProxyConsumers&) {
      held->reading = false;
      held->last_used = std::chrono::steady_clock::now();
    });
  }
  ~Fetch() { release(); }
};
using FetchRef = std::shared_ptr<Fetch>;

/// False: the bytes are no JSON.
bool append_data(std::string_view name, std::optional<std::string_view> bytes, bool as_json,
                 std::string& out) {
  out += ",\"";
  out += name;
  out += "\":";
  if (!bytes) {
    out += "null";
  } else if (!as_json) {
    out += '"';
    protocol::append_base64(*bytes, out);
    out += '"';
  } else if (storage::views::check_json(*bytes) == storage::views::RowError::kNone) {
    out += *bytes;
  } else {
    return false;
  }
  return true;
}

void write(Fetch& fetch, const protocol::Record& record, std::int32_t at, std::string& out) {
  if (fetch.unfit) return;
  const auto& [topic, partition] = fetch.keys[static_cast<std::size_t>(at)];
  const bool as_json = fetch.instance->config.json;
  const std::size_t before = out.size();
  if (!out.empty()) out += ",\n";
  out += "{\"topic\":" + json_string(topic);
  const bool fits = append_data("key", record.key, as_json, out) &&
                    append_data("value", record.value, as_json, out);
  if (!fits) {
    out.resize(before);
    fetch.unfit = topic + "/" + std::to_string(partition) + " at offset " +
                  std::to_string(record.offset.value());
    return;
  }
  out += ",\"partition\":" + std::to_string(partition) +
         ",\"offset\":" + std::to_string(record.offset.value()) + "}";
  fetch.next[static_cast<std::size_t>(at)] = record.offset + 1;
}

/// The instance's places move before the client can ask again.
void move_places(const FetchRef& fetch) {
  if (!fetch->unfit) {
    // Also past what no reader is given.
    for (const ReadFrom& from : fetch->scan->from()) {
      fetch->next[static_cast<std::size_t>(from.partition)] = from.next;
    }
  }
  fetch->consumers->post([instance = fetch->instance, epoch = fetch->epoch, keys = fetch->keys,
                          next = fetch->next](ProxyConsumers&) {
    if (instance->epoch != epoch) return;  // they are others' now
    for (std::size_t i = 0; i < keys.size(); ++i) instance->places.at(keys[i]).next = next[i];
  });
}

void answer(const FetchRef& fetch) {
  Call& call = *fetch->call;
  std::string records = fetch->scan ? fetch->scan->take_text() : std::string();
  if (fetch->unfit && records.empty()) {
    fetch->release();
    return fail_proxy(fetch->call,
                      {ProxyCode::kKafka,
                       "the record in " + *fetch->unfit +
                           " is no JSON, and the instance's format is json; read it with an "
                           "instance of format binary, or move behind it with POST positions"});
  }
  if (fetch->scan) {
    Counters::add(call.service().counters().read_records, fetch->scan->records());
    move_places(fetch);
  }
  fetch->release();
  Response out = proxy_response(call, 200, "[" + records + "]\n");
  out.content_type = fetch->instance->config.json ? kProxyOfJson : kProxyOfBinary;
  call.keep(std::move(fetch->lease));
  call.reply(std::move(out));
}

void scan(const FetchRef& fetch);

bool take_memory(Fetch& fetch) {
  return fetch.call->service().memory().try_take(kReadPieceBytes + kMaxReadBytes, fetch.lease);
}

/// Nothing was there: the store tells when something is, or that time is up.
void wait(const FetchRef& fetch, std::chrono::milliseconds left) {
  fetch->waited = true;
  storage::FetchRequest request;
  for (const ReadFrom& from : fetch->scan->from())
    request.items.push_back({from.ref, from.next, 1});
  request.max_bytes = 1;
  request.max_wait = left;
  request.committed_only = true;
  fetch->lease = MemoryLease();
  fetch->ticket =
      fetch->call->store().fetch(std::move(request), [fetch](const storage::FetchResult&) {
        fetch->call->on_loop([fetch] {
          fetch->told = true;
          fetch->call->on_cancel({});
          if (!take_memory(*fetch)) return answer(fetch);
          fetch->scan->restart();
          scan(fetch);
        });
      });
  fetch->call->on_cancel([fetch] {
    if (fetch->told || !fetch->call->store().cancel_fetch(fetch->ticket)) return;
    answer(fetch);
  });
}

void scan(const FetchRef& fetch) {
  run_in_pieces(
      fetch->call, [fetch] { return fetch->scan->work(); },
      [fetch] {
        if (const auto& error = fetch->scan->error()) {
          fetch->release();
          return fail_proxy(fetch->call, proxy_refusal(*error, false));
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            fetch->deadline - std::chrono::steady_clock::now());
        const bool nothing = fetch->scan->records() == 0 && fetch->scan->at_end();
        if (nothing && left.count() > 0 && !fetch->waited) return wait(fetch, left);
        answer(fetch);
      });
}

/// On the loop thread: the places are known.
void begin(const FetchRef& fetch, std::vector<ReadFrom> from) {
  Call& call = *fetch->call;
  call.on_cancel({});
  if (call.answered()) return fetch->release();  // cancelled: nobody would be given them
  if (from.empty()) return answer(fetch);
  if (!take_memory(*fetch)) {
    fetch->release();
    return fail_proxy(fetch->call, {503,
                                    "the broker's memory is used up, and reading needs some; "
                                    "try again later or raise its memory limit"});
  }
  const auto most =
      static_cast<std::size_t>(call.integer("max_bytes", static_cast<std::int64_t>(kMaxReadBytes)));
  const ScanLimits limits{static_cast<std::size_t>(kMaxReadRecords),
                          std::clamp<std::size_t>(most, 1, kMaxReadBytes), kReadPieceBytes};
  fetch->scan = std::make_unique<RecordScan>(
      call.store(), call.service().memory(), call.service().clock(), nullptr, std::move(from),
      limits,
      [raw = fetch.get()](const protocol::Record& record, std::int32_t at, const RecordScan&,
                          std::string& out) { write(*raw, record, at, out); });
  scan(fetch);
}

/// On the consumers' thread, when the instance has partitions or time is up.
void settled(const FetchRef& fetch) {
  ProxyInstance& instance = *fetch->instance;
  const auto refuse_it = [&](Refusal why) {
    fetch->release();
    fetch->call->on_loop([fetch, why = std::move(why)] {
      fetch->call->on_cancel({});
      fail_proxy(fetch->call, why);
    });
  };
  if (instance.removed) {
    return refuse_it({ProxyCode::kInstanceNotFound, "Consumer instance not found: it was deleted"});
  }
  if (instance.error) {
    const Refusal why = proxy_refusal(*std::exchange(instance.error, std::nullopt), false);
    return refuse_it(why);
  }
  if (!instance.missing.empty()) {
    // It may be there then; this request reads only what is there now.
    fetch->deadline = std::min(fetch->deadline, instance.next_take + kBehindTake);
  }
  fetch->epoch = instance.epoch;
  std::vector<ReadFrom> from;
  for (const auto& [key, place] : instance.places) {
    from.push_back({static_cast<std::int32_t>(fetch->keys.size()), place.ref, place.next, {}});
    fetch->keys.push_back(key);
    fetch->next.push_back(place.next);
  }
  fetch->call->on_loop(
      [fetch, from = std::move(from)]() mutable { begin(fetch, std::move(from)); });
}

/// On the consumers' thread.
Reply<void> open(ProxyConsumers& consumers, const FetchRef& fetch) {
  Call& call = *fetch->call;
  RUNNEL_ANSWER_ASSIGN(const auto instance,
                       consumers.find(call.path("group"), call.path("instance")));
  const std::string_view form = instance->config.json ? kProxyOfJson : kProxyOfBinary;
  if (const std::string* accept = call.request().header("accept");
      accept != nullptr && !accepts(*accept, form) && !accepts(*accept, kProxyJson) &&
      !accepts(*accept, kJson)) {
    return refuse(ProxyCode::kFormatDiffers,
                  "The requested embedded data format does not match the deserializer for this "
                  "consumer instance: it gives " +
                      std::string(form));
  }
  if (!instance->manual && !instance->wants_to_be_in()) {
    return refuse(ProxyCode::kNotSubscribed,
                  "Consumer is not subscribed to any topics or assigned any partitions");
  }
  if (instance->reading) {
    return refuse(409, "another request for records of this instance is under way; one at a time");
  }
  for (auto& [key, place] : instance->places) place.taken = place.next;
  if (instance->config.auto_commit) consumers.commit(instance, nullptr, {});
  instance->reading = true;
  fetch->instance = instance;
  fetch->consumers = &consumers;
  const std::int64_t wait = call.integer("timeout", instance->config.records_wait.count());
  fetch->deadline = std::chrono::steady_clock::now() +
                    std::min(std::chrono::milliseconds(wait), std::chrono::milliseconds(kMaxWait));
  consumers.await(instance, fetch->deadline, [fetch] { settled(fetch); });
  return {};
}

void records(const CallRef& call) {
  // Reading moves the instance, which HEAD must not.
  if (call->request().method == Method::kHead) {
    return call->reply(proxy_response(*call, 200, "[]\n"));
  }
  if (const Status paid = call->pay_for_waiting(1); !paid) {
    return fail_proxy(call, proxy_refusal(paid.error(), false));
  }
  auto fetch = std::make_shared<Fetch>();
  fetch->call = call;
  // The assignment is not waited for: an empty answer.
  call->on_cancel([fetch] { fetch->call->reply(proxy_response(*fetch->call, 200, "[]\n")); });
  call->service().consumers().post([fetch](ProxyConsumers& consumers) {
    const auto opened = open(consumers, fetch);
    if (opened) return;
    fetch->call->on_loop([fetch, why = opened.error()] {
      fetch->call->on_cancel({});
      fail_proxy(fetch->call, why);
    });
  });
}

}  // namespace

std::vector<Route> proxy_fetch_routes() {
  Route route =
      proxy_route(Method::kGet, "/consumers/{group}/instances/{instance}/records", records,
                  "proxyRecords", "Records that are new to the instance", "ProxyFetched");
  route.answers.front().contents = {{kProxyOfJson, "ProxyFetched"},
                                    {kProxyOfBinary, "ProxyFetched"},
                                    {kProxyJson, "ProxyFetched"},
                                    {kProxyJsonAnyVersion, "ProxyFetched"},
                                    {kJson, "ProxyFetched"}};
  route.waits = true;
  constexpr std::int64_t kAny = std::numeric_limits<std::int32_t>::max();
  route.query = {{.name = "timeout",
                  .kind = Param::Kind::kInteger,
                  .text = "Milliseconds to wait for the first record; a minute at most.",
                  .max = kAny},
                 {.name = "max_bytes",
                  .kind = Param::Kind::kInteger,
                  .text = "Bytes of the answer, about; 4 MiB at most.",
                  .min = 1,
                  .max = kAny}};
  route.description =
      "Waits for the group to share out its partitions, and for the first record. An instance has "
      "one such request at a time.";
  return {std::move(route)};
}

}  // namespace runnel::broker::http
