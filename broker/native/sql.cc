// Statements, point queries and waits for views.
//
// What waits for a view holds no thread: it is kept here until the view service calls back. Queries
// run on workers of their own, so that no report delays the broker's administration. Point queries
// that arrive while others of the connection are at work are answered together (point_queries.h).
#include <algorithm>
#include <iterator>
#include <map>

#include "broker/native/native_session.h"
#include "broker/native/view_cells.h"
#include "storage/views/sql/parser.h"
#include "storage/views/sql/token.h"

namespace runnel::broker {
namespace {

namespace views = storage::views;
using SteadyClock = std::chrono::steady_clock;

constexpr std::uint32_t kMaxViewWaitMs = 5 * 60 * 1000;
constexpr std::size_t kMaxPositions = 10'000;

SteadyClock::time_point deadline_after(std::uint32_t timeout_ms) {
  return SteadyClock::now() + std::chrono::milliseconds(std::min(timeout_ms, kMaxViewWaitMs));
}

Error no_views() {
  return Error(ErrorCode::kUnsupported, "this broker was started without views");
}

/// A text as bytes that live as long as somebody has them.
Buffer buffer_of(std::string text) {
  auto owner = std::make_shared<std::string>(std::move(text));
  const MutableBytes bytes(reinterpret_cast<std::byte*>(owner->data()), owner->size());
  return Buffer::of(std::move(owner), bytes);
}

/// Refuses statements that change something.
Status check_reads_only(std::string_view text) {
  RUNNEL_TRY_ASSIGN(const auto statements, storage::sql::parse(text));
  for (const auto& [statement, written] : statements) {
    const bool reads = std::holds_alternative<storage::sql::Query>(statement) ||
                       std::holds_alternative<storage::sql::Show>(statement) ||
                       std::holds_alternative<storage::sql::Describe>(statement) ||
                       std::holds_alternative<storage::sql::Explain>(statement) ||
                       std::holds_alternative<storage::sql::Verify>(statement);
    if (!reads) {
      return fail(ErrorCode::kInvalidArgument,
                  "a query may only read: SELECT, SHOW, DESCRIBE, EXPLAIN, VERIFY; run the others "
                  "as statements");
    }
  }
  return {};
}

JobDone run_sql(views::ViewService& service, const native::Sql& request,
                SteadyClock::time_point deadline,
                std::shared_ptr<const std::atomic<bool>> cancelled) {
  if (request.read_only) {
    if (const Status reads = check_reads_only(request.text); !reads) {
      return {failure_of(reads.error())};
    }
  }
  views::QueryLimits limits;
  limits.deadline = deadline;
  limits.max_rows = std::min<std::size_t>(request.max_rows, views::kMaxAnswerRows);
  limits.max_bytes = kMaxSqlBytes;
  limits.cancelled = std::move(cancelled);
  auto answers = service.execute(request.text, limits);
  if (!answers) return {failure_of(answers.error())};
  native::SqlReply reply;
  std::string cells;
  for (views::Answer& answer : *answers) {
    reply.answers.push_back(answer_of(std::move(answer), cells));
  }
  JobDone done{std::move(reply)};
  if (!cells.empty()) done.batches.push_back(buffer_of(std::move(cells)));
  return done;
}

native::ViewStatus status_of(views::ViewStatus from) {
  native::ViewStatus out;
  out.name = std::move(from.name);
  out.kind = static_cast<native::ViewStatus::Kind>(from.kind);
  out.state = static_cast<native::ViewStatus::State>(from.state);
  out.problem = std::move(from.problem);
  out.notice = std::move(from.notice);
  out.applied = positions_of(from.applied);
  out.lag = from.lag;
  out.sequence = from.sequence;
  const views::Counters& c = from.totals;
  out.counters = {
      {"records", c.records, "records", "read: applied, filtered, late and errors together"},
      {"applied", c.applied, "records", "that are in the view"},
      {"filtered", c.filtered, "records", "that WHERE left out"},
      {"late", c.late, "records", "left out because they came too late"},
      {"errors", c.errors, "records", "that could not be decoded or computed, or found no room"},
      {"late_updates", c.late_updates, "windows", "that were updated behind the watermark"},
      {"late_windows", c.late_windows, "windows", "left out of records that are in others"},
      {"overflows", c.overflows, "windows", "without room for one more group"},
      {"skipped", from.skipped, "offsets", "that were removed from the log before they were read"},
      {"behind_ms", static_cast<std::uint64_t>(from.behind.count()), "milliseconds",
       "for which it has not been current, now, to within a second"},
      {"groups", from.groups, "groups", "that it has state of, each partition's counted, now"},
      {"state_bytes", from.state_bytes, "bytes",
       "of its state on disk and in memory, roughly, now"},
      {"watchers", from.watchers, "subscribers", "that are told of its changes now"},
  };
  return out;
}
static_assert(static_cast<int>(views::ViewState::kFailed) ==
              static_cast<int>(native::ViewStatus::State::kFailed));
static_assert(static_cast<int>(storage::sql::ObjectKind::kStream) ==
              static_cast<int>(native::ViewStatus::Kind::kStream));

}  // namespace

void NativeSession::handle(std::uint64_t id, native::Sql& request) {
  if (request.text.size() > storage::sql::kMaxStatementBytes) {  // before it waits with it
    return fail_request(id, Error(ErrorCode::kInvalidArgument,
                                  "a text of statements has at most " +
                                      std::to_string(storage::sql::kMaxStatementBytes) + " bytes"));
  }
  const auto deadline = deadline_after(request.timeout_ms);
  auto wait = std::move(request.wait);
  when_applied(id, "", std::move(wait), deadline, ReadyQuery{std::move(request), deadline});
}

void NativeSession::handle(std::uint64_t id, native::ViewGet& request) {
  const auto deadline = deadline_after(request.timeout_ms);
  if (service_.views() != nullptr && request.wait.empty()) {
    // Begun with those that have come along with it.
    gets_.push_back({id, std::move(request), deadline, std::move(request_lease_)});
    return;
  }
  auto wait = std::move(request.wait);
  const std::string view = request.view;
  when_applied(id, view, std::move(wait), deadline, ReadyGet{std::move(request), deadline});
}

void NativeSession::handle(std::uint64_t id, native::WaitApplied& request) {
  if (request.positions.empty()) {
    return fail_request(id, Error(ErrorCode::kInvalidArgument, "give positions to wait for"));
  }
  when_applied(id, request.view, std::move(request.positions), deadline_after(request.timeout_ms),
               native::Done{});
}

void NativeSession::handle(std::uint64_t id, const native::ListViews&) {
  if (service_.views() == nullptr) return fail_request(id, no_views());
  run_blocking(id, [service = service_.views()] {
    native::ViewsReply reply;
    for (views::ViewStatus& status : service->status()) {
      reply.views.push_back(status_of(std::move(status)));
    }
    return reply;
  });
}

void NativeSession::stored(std::uint64_t id, AppliedCommit commit) {
  if (!commit.outcome.result || service_.views() == nullptr) {
    return committed(id, std::move(commit.outcome));
  }
  std::vector<native::ViewPosition> positions;
  const auto& appends = commit.outcome.result->appends;
  for (std::size_t i = 0; i < appends.size() && i < commit.targets.size(); ++i) {
    const storage::AppendResult& a = appends[i];
    const std::string& topic = commit.targets[i].topic;
    std::map<PartitionIndex, Offset> ends;
    for (std::size_t k = 0; k < a.dedup_partitions.size(); ++k) {
      Offset& end = ends[a.dedup_partitions[k]];
      end = std::max(end, a.dedup_offsets[k] + 1);
    }
    if (ends.empty()) ends[commit.targets[i].partition] = a.last_offset + 1;
    for (const auto& [partition, end] : ends) positions.push_back({topic, partition, end});
  }
  const auto deadline = deadline_after(commit.timeout_ms);
  when_applied(id, "", std::move(positions), deadline, std::move(commit.outcome));
}

void NativeSession::when_applied(std::uint64_t id, std::string_view view,
                                 std::vector<native::ViewPosition> positions,
                                 std::chrono::steady_clock::time_point deadline, Ready then) {
  if (service_.views() == nullptr) return fail_request(id, no_views());
  if (positions.size() > kMaxPositions) {
    return fail_request(
        id, Error(ErrorCode::kTooManyPartitions, "a request may wait for 10000 positions"));
  }
  ViewWait wait{id, std::move(then), std::move(request_lease_)};
  if (positions.empty()) return ready(wait, {});
  if (const std::uint64_t kept = wait.lease.bytes(); kept != 0) {
    // It waits for as long as the client chose: no longer a request that ends by itself.
    MemoryGate& memory = service_.memory();
    MemoryLease standing;
    if (!memory.take_standing(kept, memory.largest_request(), share_, standing)) {
      return fail_request(id, Error(ErrorCode::kOverloaded,
                                    "the broker's memory for requests that wait is used up; try "
                                    "again later, or without waiting"));
    }
    wait.lease = std::move(standing);
  }
  const std::uint64_t number = ++last_id_;
  view_waits_.emplace(number, std::move(wait));
  service_.views()->when_applied(view, positions_of(std::move(positions)), deadline,
                                 [replies = replies_, number](Status status) {
                                   replies->push({0, ViewsApplied{number, std::move(status)}});
                                 });
}

void NativeSession::applied(ViewsApplied done) {
  const auto found = view_waits_.find(done.wait);
  if (found == view_waits_.end()) return;
  ViewWait wait = std::move(found->second);
  view_waits_.erase(found);
  ready(wait, std::move(done.status));
}

void NativeSession::ready(ViewWait& wait, Status status) {
  if (auto* outcome = std::get_if<storage::CommitOutcome>(&wait.then)) {
    // The records are stored, whatever became of the wait.
    return committed(wait.correlation, std::move(*outcome), status.has_value());
  }
  if (!status) return fail_request(wait.correlation, status.error());
  if (std::holds_alternative<native::Done>(wait.then)) {
    answer(wait.correlation, native::Done{});
    return request_done();
  }
  if (auto* get = std::get_if<ReadyGet>(&wait.then)) {
    gets_.push_back(
        {wait.correlation, std::move(get->request), get->deadline, std::move(wait.lease)});
    return begin_gets();
  }
  auto& query = std::get<ReadyQuery>(wait.then);
  queries_.jobs.push_back({[replies = replies_, id = wait.correlation, service = service_.views(),
                            query = std::move(query), gone = gone_] {
                             JobDone done = run_sql(*service, query.request, query.deadline, gone);
                             done.is_query = true;
                             replies->push({id, std::move(done)});
                             return true;
                           },
                           std::move(wait.lease)});
  begin_job(queries_);
}

void NativeSession::cancel_view_waits() {
  auto waits = std::exchange(view_waits_, {});
  for (auto& [number, wait] : waits) {
    ready(wait, fail(ErrorCode::kShuttingDown, "the connection is being closed"));
  }
}

void NativeSession::begin_gets() {
  if (gets_at_work_ || gets_.empty() || closed_ || (pauses_ & kForOutput) != 0) return;
  gets_at_work_ = true;
  auto batch = std::make_shared<std::vector<PointQuery>>(std::exchange(gets_, {}));
  const auto step = [replies = replies_, answerers = &service_.point_answerers(), batch,
                     gone = gone_] {
    GetsDone done{answerers->borrow()->answer(*batch, gone), batch};
    const auto answered = static_cast<std::ptrdiff_t>(done.answers.answered);
    batch->erase(batch->begin(), batch->begin() + answered);
    replies->push({0, std::move(done)});
    return true;
  };
  service_.quick_workers().run(get_lane_, step);
}

void NativeSession::got(GetsDone done) {
  gets_at_work_ = false;
  // They came first.
  if (!done.rest->empty()) {
    gets_.insert(gets_.begin(), std::move_iterator(done.rest->begin()),
                 std::move_iterator(done.rest->end()));
  }
  NativeCounters::add(service_.counters().failures, done.answers.failures);
  NativeCounters::add(service_.counters().sent_record_bytes, done.answers.cell_bytes);
  output_bytes_ += done.answers.frames.size();
  output_.emplace_back(std::move(done.answers.frames));
  if (output_bytes_ > kOutputLowMark) flush();  // tells whether the client keeps up
  for (std::size_t i = 0; i < done.answers.answered; ++i) request_done();
}

}  // namespace runnel::broker
