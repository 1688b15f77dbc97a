#include "storage/views/service/view_service.h"

#include "storage/views/engine/view_reader.h"
#include "storage/views/service/service.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::views {

std::string_view name_of(ViewState state) noexcept {
  switch (state) {
    case ViewState::kRunning:
      return "running";
    case ViewState::kBuilding:
      return "building";
    case ViewState::kPaused:
      return "paused";
    case ViewState::kFailed:
      break;
  }
  return "failed";
}

Result<std::unique_ptr<ViewService>> ViewService::open(Store& store, ViewServiceOptions options) {
  auto made = std::make_unique<Service>(store, std::move(options));
  RUNNEL_TRY(made->start());
  return made;
}

Status Service::start() {
  const MutexLock lock(changes_);
  RUNNEL_TRY_ASSIGN(const StateEntries stored, store_.read_state(kDefinitionPrefix));
  for (const auto& [key, value] : stored) {
    if (key == kNextNumberKey) {
      ByteReader in(as_bytes(value));
      next_number_ = in.le<std::uint32_t>();
      if (!in.at_end()) return fail(ErrorCode::kCorrupt, "the entry " + key + " is damaged");
      continue;
    }
    const auto number = definition_number(key);
    if (!number)
      return fail(ErrorCode::kCorrupt, "the entry " + key + " has no name of a definition");
    Entry entry;
    entry.stored.number = *number;
    const Status read = entry.stored.decode(value);
    if (!read) {
      entry.unreadable = read.error();
      entry.stored.versions.clear();
      if (entry.stored.name.empty()) entry.stored.name = key;
    }
    entries_.emplace(*number, std::move(entry));
  }
  bind_all(entries_);
  publish();
  bool state_needed = false;
  const auto known = definitions();
  for (const auto& [name, definition] : known->all()) {
    state_needed = state_needed || definition->kind == sql::ObjectKind::kView ||
                   definition->kind == sql::ObjectKind::kStream;
    if (!definition->failure) continue;
    log(LogLevel::kError, std::string(words_of(definition->kind)) + " " + name +
                              " has failed: " + definition->failure->to_string());
  }
  if (state_needed) open_state();
  return {};
}

void Service::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  std::thread keeper;
  {
    const MutexLock lock(changes_);
    keeper.swap(keeper_);
  }
  if (keeper.joinable()) keeper.join();
  const MutexLock lock(changes_);
  Runners runners;
  {
    const MutexLock published(mutex_);
    runners.swap(runners_);
  }
  for (const auto& [task, runner] : runners) runner->stop();
  close_state();
  settle(nullptr);
}

Result<std::vector<Answer>> Service::execute(std::string_view text, const QueryLimits& limits) {
  if (text.size() > kMaxStatementBytes) {
    return fail(ErrorCode::kInvalidArgument,
                "a statement has at most " + std::to_string(kMaxStatementBytes) + " bytes");
  }
  RUNNEL_TRY_ASSIGN(const std::vector<sql::Parsed> all, sql::parse(text));
  std::vector<Answer> answers;
  for (const sql::Parsed& parsed : all) {
    RUNNEL_TRY_ASSIGN(Answer answer, run(parsed, limits));
    answers.push_back(std::move(answer));
  }
  return answers;
}

ReadSnapshot Service::snapshot() const {
  const MutexLock lock(mutex_);
  return {definitions_, state_ ? state_->snapshot() : nullptr, &store_};
}

namespace {

/// Where a view or stream is in each partition of its topic, and what became of the records.
Status fill_progress(const Definition& definition, const ReadSnapshot& now, ViewStatus& status) {
  std::map<std::uint32_t, Cursor> cursors;
  if (definition.stream == nullptr) {
    if (now.state == nullptr) return {};
    RUNNEL_TRY_ASSIGN(const auto reader,
                      ViewReader::open(*definition.view, definition.id, *now.state));
    for (const auto& [partition, cursor] : reader->cursors()) cursors[partition] = cursor;
    status.sequence = reader->sequence();
  }
  const std::string& topic =
      definition.stream ? definition.stream->source.topic : definition.view->source.topic;
  const auto info = now.store->describe_topic(topic);
  if (!info) return {};  // whose topic is gone has said so
  for (const PartitionInfo& partition : info->partitions) {
    const auto number = static_cast<std::uint32_t>(partition.index.value());
    if (definition.stream) {
      RUNNEL_TRY_ASSIGN(cursors[number], stream_position(*now.store, definition.id, number));
    }
    Offset at(cursors[number].next);
    for (const auto& [index, start] : definition.start) {
      if (index == partition.index) at = std::max(at, start);
    }
    status.applied.push_back({topic, partition.index, at});
    if (at < partition.last_stable) {
      status.lag += static_cast<std::uint64_t>(partition.last_stable - at);
    }
  }
  for (const auto& [partition, cursor] : cursors) status.totals += cursor.counters;
  return {};
}

ViewState state_of(const Definition& definition) {
  if (definition.failure) return ViewState::kFailed;
  if (definition.paused) return ViewState::kPaused;
  return definition.building ? ViewState::kBuilding : ViewState::kRunning;
}

}  // namespace

std::vector<ViewStatus> Service::status() const {
  const ReadSnapshot now = snapshot();
  std::map<std::string, std::string> problems;
  std::string state_problem;
  std::string state_notice;
  {
    const MutexLock lock(mutex_);
    problems = problems_;
    state_problem = state_problem_;
    state_notice = state_notice_;
  }
  std::vector<ViewStatus> all;
  for (const auto& [name, definition] : now.definitions->all()) {
    if (definition->kind != sql::ObjectKind::kView &&
        definition->kind != sql::ObjectKind::kStream) {
      continue;
    }
    ViewStatus status;
    status.name = name;
    status.kind = definition->kind;
    status.state = state_of(*definition);
    if (definition->failure) {
      status.problem = definition->failure->message();
    } else if (const auto found = problems.find(name); found != problems.end()) {
      status.problem = found->second;
    }
    const bool keeps_state = definition->view && !definition->over_view();
    status.skipped = definition->skipped;
    if (status.skipped > 0) {
      status.notice = "not complete: " + std::to_string(status.skipped) +
                      " offsets were removed from the log before they were read";
    }
    if (keeps_state && !state_notice.empty()) {
      status.notice += (status.notice.empty() ? "" : "; ") + state_notice;
    }
    if (keeps_state && now.state == nullptr && status.state != ViewState::kFailed) {
      status.state = ViewState::kFailed;
      status.problem = state_problem;
    }
    const bool works = definition->stream || keeps_state;
    const Status filled = works ? fill_progress(*definition, now, status) : Status();
    if (!filled) {
      status.state = ViewState::kFailed;
      status.problem = filled.error().message();
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace runnel::storage::views
