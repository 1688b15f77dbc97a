// What takes its time: views that are being built, erasures, replays, the cleaner, backups. Each
// with what is done and what is left, as far as the broker knows.
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "broker/http/call.h"
#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "protocol/filter/json_text.h"
#include "storage/stats.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;
using Number = std::optional<std::int64_t>;

/// Of each kind; erasures and replays are kept when they are done.
constexpr std::size_t kMaxJobs = 1'000;
/// Groups that hold the places of replays: client/src/replay_session.h.
constexpr std::string_view kReplayGroupPrefix = "runnel-replay.";

struct Job {
  std::string_view kind;
  std::string name;
  std::string topic = {};  ///< empty: none
  std::string_view state;
  std::string_view unit;
  Number done = {};
  Number left = {};
  Number per_second = {};
  Timestamp began = kNoTimestamp;
  Timestamp changed = kNoTimestamp;
  std::string problem = {};
};

struct Jobs {
  std::vector<Job> all;
  std::size_t omitted = 0;
};

std::string or_null(const Number& value) {
  return value ? std::to_string(*value) : "null";
}
std::string or_null(Timestamp time) {
  return time == kNoTimestamp ? "null" : std::to_string(time.value());
}
std::string or_null(const std::string& text) {
  return text.empty() ? "null" : json_string(text);
}

std::string json_of(const Job& job) {
  return "{\"kind\":" + json_string(job.kind) + ",\"name\":" + json_string(job.name) +
         ",\"topic\":" + or_null(job.topic) + ",\"state\":" + json_string(job.state) +
         ",\"unit\":" + json_string(job.unit) + ",\"done\":" + or_null(job.done) +
         ",\"left\":" + or_null(job.left) + ",\"per_second\":" + or_null(job.per_second) +
         ",\"began\":" + or_null(job.began) + ",\"changed\":" + or_null(job.changed) +
         ",\"problem\":" + or_null(job.problem) + "}";
}

Number number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

/// The journal's compaction, and backups as long as somebody copies them.
void add_standing(const storage::StoreStats& stats, Jobs& jobs) {
  jobs.all.push_back({.kind = "cleaner",
                      .name = "compaction and cleaner",
                      .state = stats.cleaner_debt_bytes > 0 ? "running" : "idle",
                      .unit = "bytes",
                      .done = number(stats.cleaner_read_bytes),
                      .left = number(stats.cleaner_debt_bytes),
                      .per_second = number(stats.cleaner_rate)});
  if (stats.snapshots == 0) return;
  jobs.all.push_back({.kind = "backup",
                      .name = "backups that hold files",
                      .state = "running",
                      .unit = "snapshots",
                      .left = number(stats.snapshots)});
}

/// Those that are being built, and those that failed.
void add_views(const storage::views::ViewService& service, Jobs& jobs) {
  using storage::views::ViewState;
  std::size_t count = 0;
  for (const storage::views::ViewStatus& view : service.status()) {
    if (view.state != ViewState::kBuilding && view.state != ViewState::kFailed) continue;
    if (++count > kMaxJobs) {
      ++jobs.omitted;
      continue;
    }
    jobs.all.push_back({.kind = "view",
                        .name = view.name,
                        .state = view.state == ViewState::kBuilding ? "running" : "failed",
                        .unit = "records",
                        .done = number(view.totals.records),
                        .left = number(view.lag),
                        .problem = view.problem});
  }
}

/// The latest ones: those that are not finished are among them unless there are too many.
void add_erasures(const storage::Store& store, Jobs& jobs) {
  const std::vector<storage::Erasure> all = store.erasures();
  const std::size_t from = all.size() > kMaxJobs ? all.size() - kMaxJobs : 0;
  jobs.omitted += from;
  for (std::size_t i = from; i < all.size(); ++i) {
    const storage::Erasure& erasure = all[i];
    const bool removed = erasure.removed != kNoTimestamp;
    const bool gone = erasure.gone != kNoTimestamp;
    Job job{.kind = "erasure",
            .name = erasure.id,
            .topic = erasure.topic,
            .state = gone ? "done" : "running",
            .unit = "records",
            .done = removed ? number(erasure.records()) : std::nullopt,
            .began = erasure.requested,
            .changed = gone ? erasure.gone : erasure.removed,
            .problem = erasure.problem};
    if (removed && !gone && job.problem.empty()) {
      job.problem = "nobody can read them any more; " + std::to_string(erasure.segments_left) +
                    " files of the log are still to be written anew";
    }
    jobs.all.push_back(std::move(job));
  }
}

/// Where a replay ends in a partition: the third word of "1 PLAN END TOKEN".
Number replay_end(std::string_view metadata) {
  if (!metadata.starts_with("1 ")) return std::nullopt;
  const std::size_t plan_end = metadata.find(' ', 2);
  if (plan_end == std::string_view::npos) return std::nullopt;
  metadata.remove_prefix(plan_end + 1);
  std::int64_t end = 0;
  const auto read = std::from_chars(metadata.data(), metadata.data() + metadata.size(), end);
  return read.ec == std::errc() ? Number(end) : std::nullopt;
}

Result<Job> replay_of(const storage::Store& store, const std::string& group) {
  RUNNEL_TRY_ASSIGN(const auto places, store.committed_offsets(group));
  Job job{.kind = "replay",
          .name = group.substr(kReplayGroupPrefix.size()),
          .state = "open",
          .unit = "offsets",
          .left = 0};
  for (const storage::CommittedOffset& place : places) {
    job.topic = place.topic;
    job.changed = std::max(job.changed, place.committed);
    const Number end = replay_end(place.metadata);
    if (!end) continue;
    *job.left += std::max<std::int64_t>(0, *end - place.offset.value());
  }
  if (*job.left == 0) job.state = "done";
  return job;
}

Status add_replays(const storage::Store& store, Jobs& jobs) {
  RUNNEL_TRY_ASSIGN(const auto groups, store.groups_with_offsets());
  std::size_t count = 0;
  for (const std::string& group : groups) {
    if (!group.starts_with(kReplayGroupPrefix)) continue;
    if (++count > kMaxJobs) {
      ++jobs.omitted;
      continue;
    }
    RUNNEL_TRY_ASSIGN(auto job, replay_of(store, group));
    jobs.all.push_back(std::move(job));
  }
  return {};
}

void list(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    Jobs jobs;
    if (call->service().views() != nullptr) add_views(*call->service().views(), jobs);
    RUNNEL_TRY(add_replays(call->store(), jobs));
    add_erasures(call->store(), jobs);
    add_standing(call->store().stats(), jobs);
    std::string body = "{\"jobs\":[";
    for (const Job& job : jobs.all) {
      if (body.back() != '[') body += ',';
      body += json_of(job);
    }
    return json(body + "],\"omitted\":" + std::to_string(jobs.omitted) + "}\n");
  });
}

}  // namespace

std::vector<Route> job_routes() {
  return {{.pattern = "/api/v1/jobs",
           .handler = list,
           .id = "listJobs",
           .tag = "health",
           .summary = "What takes its time: views that are being built, erasures, replays with a "
                      "name, the cleaner, backups",
           .answers = {{200, "The jobs.", {{kJson, "JobList"}}}}}};
}

}  // namespace runnel::broker::http
