#include "storage/views/service/view_service.h"

#include <algorithm>

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
    if (key.starts_with(kOldGonePrefix)) continue;
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
  for (const std::string_view prefix : {kOldGonePrefix, kGonePrefix}) {
    RUNNEL_TRY(load_gone(prefix));
  }
  if (const Status moved = move_old_names(); !moved) {
    log(LogLevel::kWarning, "names of views that were dropped stay where they stood before: " +
                                moved.error().message());
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

Status Service::load_gone(std::string_view prefix) {
  RUNNEL_TRY_ASSIGN(const StateEntries stored, store_.read_state(prefix));
  for (const auto& [key, value] : stored) {
    ByteReader in(as_bytes(value));
    const auto generation = in.le<std::uint16_t>();
    if (!in.at_end()) return fail(ErrorCode::kCorrupt, "the entry " + key + " is damaged");
    const std::string name = key.substr(prefix.size());
    std::uint16_t& last = name.empty() ? gone_.of_others : gone_.last[name];
    last = std::max(last, generation);
  }
  return {};
}

Status Service::move_old_names() {
  RUNNEL_TRY_ASSIGN(const StateEntries stored, store_.read_state(kOldGonePrefix));
  if (stored.empty()) return {};
  CommitRequest request;
  for (const auto& [key, value] : stored) {
    const std::string name = key.substr(kOldGonePrefix.size());
    ByteWriter last;
    last.le(name.empty() ? gone_.of_others : gone_.last.at(name));
    request.state.push_back({std::string(kGonePrefix) + name, last.take()});
    request.state.push_back({key, std::nullopt});
  }
  CommitOutcome outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error());
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
  QueryLimits left = limits;
  for (const sql::Parsed& parsed : all) {
    if (left.max_bytes == 0) {
      return fail(ErrorCode::kInvalidArgument,
                  "the answers of the statements before this one are as large as a request's may "
                  "be; send it by itself");
    }
    RUNNEL_TRY_ASSIGN(Answer answer, run(parsed, left));
    left.max_bytes -= std::min(left.max_bytes, answer.rows.bytes());
    answers.push_back(std::move(answer));
  }
  return answers;
}

ReadSnapshot Service::snapshot() const {
  const MutexLock lock(mutex_);
  return {definitions_, state_ ? state_->snapshot() : nullptr, &store_, &histories_};
}

}  // namespace runnel::storage::views
