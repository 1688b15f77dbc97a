// CREATE and DROP.
#include <algorithm>

#include "storage/views/engine/windows.h"
#include "storage/views/service/service.h"
#include "storage/views/sql/nearest.h"
#include "storage/views/types/zone_rules.h"
#include "storage/views/worker/dead_letters.h"

namespace runnel::storage::views {
namespace {

/// A small view is complete when CREATE answers.
constexpr std::chrono::milliseconds kBuildPatience{2000};
constexpr std::uint16_t kMaxGeneration = 0xffff;

Answer done(std::string tag) {
  Answer answer;
  answer.tag = std::move(tag);
  return answer;
}

std::string created(sql::ObjectKind kind) {
  return "CREATE " + std::string(words_of(kind));
}

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

Status check_supported(const SourcePlan& source, const std::vector<JoinPlan>& joins) {
  if (!joins.empty() && source.topic.empty()) {
    return fail(ErrorCode::kUnsupported,
                "a view of a view can't join a table; join it in the view that it reads");
  }
  return {};
}

}  // namespace

Result<Answer> Service::run(const sql::Parsed& parsed, const QueryLimits& limits) {
  const sql::Statement& statement = parsed.statement;
  if (const auto* const query = std::get_if<sql::Query>(&statement)) {
    return run_query(*query, parsed.text, snapshot(), limits);
  }
  if (const auto* const what = std::get_if<sql::Explain>(&statement)) {
    return explain(*what->statement, parsed.text, snapshot());
  }
  if (const auto* const what = std::get_if<sql::Show>(&statement)) return show(*what, snapshot());
  if (const auto* const what = std::get_if<sql::Describe>(&statement)) {
    return describe(*what, snapshot());
  }
  if (const auto* const what = std::get_if<sql::Verify>(&statement)) {
    return verify(*what, snapshot(), limits);
  }
  if (std::holds_alternative<sql::Subscribe>(statement)) {
    return fail(ErrorCode::kUnsupported,
                "SUBSCRIBE does not end, so it has no answer; subscribe through the client");
  }
  std::vector<std::string> touched;
  Result<Answer> answer = [&]() -> Result<Answer> {
    const MutexLock lock(changes_);
    touched_.clear();
    auto made = change_by(parsed);
    touched = touched_;
    return made;
  }();
  if (answer) wait_built(touched, *answer);
  return answer;
}

Result<Answer> Service::change_by(const sql::Parsed& parsed) {
  const sql::Statement& statement = parsed.statement;
  if (const auto* const source = std::get_if<sql::CreateSource>(&statement)) {
    return define(*source, parsed.text);
  }
  if (const auto* const view = std::get_if<sql::CreateView>(&statement)) {
    return define(*view, parsed.text);
  }
  if (const auto* const stream = std::get_if<sql::CreateStream>(&statement)) {
    return define(*stream, parsed.text);
  }
  if (const auto* const what = std::get_if<sql::Drop>(&statement)) return drop(*what);
  return alter(std::get<sql::Alter>(statement));
}

// ---------------------------------------------------------------- names
Entry* Service::find(std::string_view name) {
  for (auto& [number, entry] : entries_) {
    if (entry.stored.name == name) return &entry;
  }
  return nullptr;
}

tl::unexpected<Error> Service::unknown(const sql::Name& name, sql::ObjectKind kind) {
  std::vector<std::string_view> names;
  for (const auto& [number, entry] : entries_) {
    if (entry.stored.kind == kind) names.push_back(entry.stored.name);
  }
  std::string words(words_of(kind));
  std::transform(words.begin(), words.end(), words.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto meant = sql::nearest(name.text, names);
  const Error error =
      sql::error_at(name.place, "there is no " + words + " '" + name.text + "'" +
                                    (meant ? "; did you mean '" + std::string(*meant) + "'?" : ""));
  return fail(ErrorCode::kNotFound, error.message());
}

Result<Service::Taken> Service::check_name(const sql::Name& name, sql::ObjectKind kind,
                                           bool or_replace, bool if_not_exists) {
  Taken taken;
  const Entry* const there = find(name.text);
  if (there == nullptr) {
    if (entries_.size() < kMaxDefinitions) return taken;
    return fail(ErrorCode::kInvalidArgument,
                "there are " + std::to_string(kMaxDefinitions) + " definitions; drop one first");
  }
  const std::string what(words_of(there->stored.kind));
  if (there->stored.kind != kind) {
    return fail(sql::error_at(name.place, name.text + " is the name of a " + what + " already"));
  }
  if (or_replace) {
    taken.replaced = there;
  } else if (if_not_exists) {
    taken.answer = done(created(kind));
    taken.answer->notices.push_back(name.text + " is there already, and stays as it is");
  } else {
    return fail(sql::error_at(name.place, "there is a " + what + " " + name.text +
                                              " already; CREATE OR REPLACE replaces it"));
  }
  return taken;
}

Result<TopicInfo> Service::topic_of(const std::string& topic) const {
  auto info = store_.describe_topic(topic);
  if (info || info.error().code() != ErrorCode::kUnknownTopic) return info;
  const std::vector<std::string> names = store_.topic_names();
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto meant = sql::nearest(topic, views);
  return fail(ErrorCode::kUnknownTopic, "there is no topic '" + topic + "'; " +
                                            (meant ? "did you mean '" + std::string(*meant) + "'?"
                                                   : std::string("create it first")));
}

// ---------------------------------------------------------------- versions
Entry Service::new_entry(const std::string& name, sql::ObjectKind kind) {
  Entry entry;
  entry.stored.number = next_number_++;
  entry.stored.name = name;
  entry.stored.kind = kind;
  entry.stored.created = options_.clock->now();
  const auto known = gone_.last.find(name);
  entry.first_generation = 1u + (known == gone_.last.end() ? gone_.of_others : known->second);
  return entry;
}

std::vector<std::string> Service::inputs_of(const std::vector<std::string>& names,
                                            const Entry* changed) {
  std::vector<std::string> inputs;
  for (const std::string& name : names) {
    const Entry* const entry =
        changed != nullptr && changed->stored.name == name ? changed : find(name);
    if (entry == nullptr || entry->current() == nullptr) continue;
    const sql::ObjectKind kind = entry->stored.kind;
    if (kind == sql::ObjectKind::kSource || kind == sql::ObjectKind::kTable) {
      inputs.push_back(entry->current()->sql);
    }
  }
  return inputs;
}

StartOffsets Service::start_of(const TopicInfo& topic, Backfill backfill) {
  StartOffsets start;
  for (const PartitionInfo& partition : topic.partitions) {
    const Offset at = backfill == Backfill::kLatest ? partition.last_stable : partition.log_start;
    if (at.value() != 0) {
      start[static_cast<std::uint32_t>(partition.index.value())] = at.value();
    }
  }
  return start;
}

Result<StoredVersion> Service::make_version(const sql::Query& query, const std::string& text,
                                            const SourcePlan& source, Backfill backfill) {
  StoredVersion version;
  version.sql = text;
  version.inputs = inputs_of(names_read(query), nullptr);
  if (source.topic.empty()) return version;
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, topic_of(source.topic));
  version.topic = topic.id;
  version.start = start_of(topic, backfill);
  return version;
}

Status Service::put_version(Entry& entry, StoredVersion version, BoundVersion bound) const {
  auto& versions = entry.stored.versions;
  std::uint32_t generation = std::max<std::uint32_t>(version.generation, entry.first_generation);
  for (const StoredVersion& other : versions) {
    generation = std::max<std::uint32_t>(generation, other.generation + 1u);
  }
  if (generation > kMaxGeneration) {
    return fail(ErrorCode::kInvalidArgument, entry.stored.name + " was made anew " +
                                                 std::to_string(kMaxGeneration) +
                                                 " times; create it under another name");
  }
  version.generation = static_cast<std::uint16_t>(generation);
  version.lost = false;
  version.begun = options_.clock->now();
  version.zone_rules = bound.has_state() ? zone_rules_of(bound.view->options.time_zone) : "";
  version.built = !bound.has_state();
  version.failure.reset();
  entry.stored.paused = false;
  const bool keeps_old = bound.has_state() && !versions.empty() && versions.front().built &&
                         !versions.front().failure && !entry.bound.front().problem;
  versions.resize(keeps_old ? 1 : 0);
  entry.bound.resize(versions.size());
  versions.push_back(std::move(version));
  entry.bound.push_back(std::move(bound));
  return {};
}

std::vector<Entry*> Service::readers_of(std::string_view name) {
  std::vector<Entry*> readers;
  for (auto& [number, entry] : entries_) {
    const std::vector<std::string> names = names_read(entry);
    if (std::find(names.begin(), names.end(), name) != names.end()) readers.push_back(&entry);
  }
  return readers;
}

bool Service::reads(const sql::Query& query, std::string_view name) {
  std::vector<std::string> names = names_read(query);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return true;
    const Entry* const entry = find(names[i]);
    if (entry == nullptr) continue;
    for (std::string& more : names_read(*entry)) {
      if (std::find(names.begin(), names.end(), more) == names.end()) {
        names.push_back(std::move(more));
      }
    }
  }
  return false;
}

Status Service::check_readers(const Entry& with) {
  Entries then = entries_;
  Entry& changed = then.insert_or_assign(with.stored.number, with).first->second;
  changed.stored.versions.erase(changed.stored.versions.begin(), changed.stored.versions.end() - 1);
  changed.bound.erase(changed.bound.begin(), changed.bound.end() - 1);
  const auto before = definitions();
  const auto after = definitions_of(then);
  for (const auto& [name, definition] : after->all()) {
    const DefinitionRef now = before->find(name);
    if (!definition->failure || now == nullptr || now->failure) continue;
    return fail(
        ErrorCode::kInvalidArgument,
        "the view " + name + " reads " + with.stored.name +
            " and would no longer make sense; drop it first: " + definition->failure->message());
  }
  return {};
}

// ---------------------------------------------------------------- CREATE
Status Service::rebuild_reader(Entry& reader, const Entry& changed) {
  if (reader.stored.versions.empty()) return {};
  StoredVersion version = reader.stored.versions.back();
  version.inputs = inputs_of(names_read(reader), &changed);
  BoundVersion bound = bind_version(version, *definitions());
  if (bound.problem) {
    return fail(ErrorCode::kInvalidArgument,
                reader.stored.name + " reads " + changed.stored.name +
                    " and would no longer make sense: " + bound.problem->message());
  }
  const SourcePlan& source = bound.view ? bound.view->source : bound.stream->source;
  const Backfill backfill = bound.view ? bound.view->options.backfill : Backfill::kLatest;
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, topic_of(source.topic));
  if (runs_in_circles(reader.stored.name, bound)) {
    return fail(ErrorCode::kInvalidArgument, reader.stored.name + " would read what it writes");
  }
  if (bound.stream && topic.id == version.topic) {
    // What it has written stays; it goes on where it is.
    reader.stored.versions = {std::move(version)};
    reader.bound = {std::move(bound)};
    return {};
  }
  version.topic = topic.id;
  version.start = start_of(topic, backfill);
  version.skipped = 0;
  return put_version(reader, std::move(version), std::move(bound));
}

Result<Answer> Service::define(const sql::CreateSource& statement, const std::string& text) {
  const sql::ObjectKind kind = statement.table ? sql::ObjectKind::kTable : sql::ObjectKind::kSource;
  RUNNEL_TRY_ASSIGN(
      Taken taken, check_name(statement.name, kind, statement.or_replace, statement.if_not_exists));
  if (taken.answer) return std::move(*taken.answer);
  RUNNEL_TRY_ASSIGN(SourcePlan plan, bind_source(statement));
  RUNNEL_TRY_ASSIGN(const TopicInfo topic, topic_of(plan.topic));
  StoredVersion version;
  version.sql = text;
  version.topic = topic.id;
  BoundVersion bound;
  bound.source = std::make_shared<const SourcePlan>(std::move(plan));
  Entry entry = taken.replaced != nullptr ? *taken.replaced : new_entry(statement.name.text, kind);
  entry.unreadable.reset();
  RUNNEL_TRY(put_version(entry, std::move(version), std::move(bound)));
  Answer answer = done(created(kind));
  std::vector<Entry> changed;
  if (taken.replaced != nullptr) {
    std::vector<std::string> rebuilt;
    for (const Entry* const reader : readers_of(statement.name.text)) {
      Entry copy = *reader;
      RUNNEL_TRY(rebuild_reader(copy, entry));
      rebuilt.push_back(copy.stored.name);
      changed.push_back(std::move(copy));
    }
    if (!rebuilt.empty()) answer.notices.push_back("built anew: " + joined(rebuilt));
  }
  changed.push_back(std::move(entry));
  RUNNEL_TRY(change(std::move(changed), {}));
  return answer;
}

Result<Answer> Service::define(const sql::CreateView& statement, const std::string& text) {
  RUNNEL_TRY_ASSIGN(Taken taken, check_name(statement.name, sql::ObjectKind::kView,
                                            statement.or_replace, statement.if_not_exists));
  if (taken.answer) return std::move(*taken.answer);
  if (taken.replaced != nullptr && reads(statement.query, statement.name.text)) {
    return fail(sql::error_at(statement.name.place,
                              statement.name.text + " can't be computed from itself"));
  }
  const auto known = definitions();
  RUNNEL_TRY_ASSIGN(ViewPlan plan, bind_view(statement, text, *known));
  RUNNEL_TRY(check_supported(plan.source, plan.joins));
  RUNNEL_TRY(Windows::make(plan.window));
  if (plan.options.changelog_topic) {
    RUNNEL_TRY(prepare_changelog(statement, plan, taken.replaced));
  }
  RUNNEL_TRY_ASSIGN(StoredVersion version,
                    make_version(statement.query, text, plan.source, plan.options.backfill));
  Answer answer = done(created(sql::ObjectKind::kView));
  if (plan.options.backfill == Backfill::kEarliest && !version.start.empty()) {
    answer.notices.push_back("the log of " + plan.source.topic +
                             " does not begin at offset 0: what was removed from it is not in " +
                             plan.name);
  }
  BoundVersion bound;
  bound.view = std::make_shared<const ViewPlan>(std::move(plan));
  if (runs_in_circles(statement.name.text, bound)) {
    return fail(
        sql::error_at(statement.name.place, "dead letters of " + statement.name.text + " go to " +
                                                dead_letter_topic(statement.name.text) +
                                                ", from which it would read them again, for ever"));
  }
  const bool has_state = bound.has_state();
  const bool unreadable = taken.replaced != nullptr && taken.replaced->unreadable.has_value();
  std::vector<std::uint32_t> gone;
  if (unreadable) gone.push_back(taken.replaced->stored.number);
  Entry entry = taken.replaced != nullptr && !unreadable
                    ? *taken.replaced
                    : new_entry(statement.name.text, sql::ObjectKind::kView);
  RUNNEL_TRY(put_version(entry, std::move(version), std::move(bound)));
  if (taken.replaced != nullptr) RUNNEL_TRY(check_readers(entry));
  if (has_state) RUNNEL_TRY(ensure_state());
  RUNNEL_TRY(change({std::move(entry)}, std::move(gone)));
  return answer;
}

Result<Answer> Service::define(const sql::CreateStream& statement, const std::string& text) {
  RUNNEL_TRY_ASSIGN(const Taken taken,
                    check_name(statement.topic, sql::ObjectKind::kStream, false, false));
  RUNNEL_TRY_ASSIGN(StreamPlan plan, bind_stream(statement, text, *definitions()));
  RUNNEL_TRY(check_supported(plan.source, plan.joins));
  ViewOptions options;
  RUNNEL_TRY(bind_options(statement.options, options));
  if (plan.source.topic.empty()) {
    return fail(sql::error_at(statement.query.place,
                              plan.source.name + " is a view; INSERT INTO reads a source"));
  }
  RUNNEL_TRY(topic_of(plan.topic));
  if (const Entry* const writer = writer_of(plan.topic)) {
    return fail(sql::error_at(
        statement.topic.place,
        "the topic " + plan.topic + " has the rows of " + writer->stored.name + " and no others"));
  }
  const std::string from = plan.source.topic;
  BoundVersion bound;
  bound.stream = std::make_shared<const StreamPlan>(std::move(plan));
  if (runs_in_circles(statement.topic.text, bound)) {
    return fail(sql::error_at(statement.topic.place, "what is written to " + statement.topic.text +
                                                         " would be read from " + from +
                                                         " again, for ever"));
  }
  RUNNEL_TRY_ASSIGN(StoredVersion version,
                    make_version(statement.query, text, bound.stream->source, options.backfill));
  Entry entry = new_entry(statement.topic.text, sql::ObjectKind::kStream);
  RUNNEL_TRY(put_version(entry, std::move(version), std::move(bound)));
  RUNNEL_TRY(ensure_state());
  RUNNEL_TRY(change({std::move(entry)}, {}));
  return done(created(sql::ObjectKind::kStream));
}

void Service::wait_built(const std::vector<std::string>& names, Answer& answer) {
  const auto until = Steady::now() + kBuildPatience;
  MutexLock lock(mutex_);
  for (const std::string& name : names) {
    while (!stopping_ && unbuilt_.contains(name)) {
      if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
    }
    if (!unbuilt_.contains(name)) continue;
    const DefinitionRef view = definitions_->find(name);
    const bool beside = view != nullptr && !view->building;
    answer.notices.push_back(name + (beside ? " is built anew of what is in the log; until then it "
                                              "is read as it was"
                                            : " is being built of what is in the log"));
  }
}

// ---------------------------------------------------------------- DROP
Result<Answer> Service::drop(const sql::Drop& statement) {
  const Entry* const entry = find(statement.name.text);
  Answer answer = done("DROP " + std::string(words_of(statement.kind)));
  if (entry == nullptr) {
    if (!statement.if_exists) return unknown(statement.name, statement.kind);
    answer.notices.push_back("there is no " + statement.name.text);
    return answer;
  }
  if (entry->stored.kind != statement.kind) {
    return fail(sql::error_at(statement.name.place,
                              statement.name.text + " is a " +
                                  std::string(words_of(entry->stored.kind)) + "; DROP " +
                                  std::string(words_of(entry->stored.kind)) + " removes it"));
  }
  std::vector<std::uint32_t> gone{entry->stored.number};
  std::vector<std::string> readers;
  std::vector<std::string> names{entry->stored.name};
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (const Entry* const reader : readers_of(names[i])) {
      if (std::find(gone.begin(), gone.end(), reader->stored.number) != gone.end()) continue;
      gone.push_back(reader->stored.number);
      names.push_back(reader->stored.name);
      readers.push_back(reader->stored.name);
    }
  }
  if (!readers.empty() && !statement.cascade) {
    return fail(sql::error_at(statement.name.place,
                              statement.name.text + " is read by " + joined(readers) +
                                  "; drop what reads it first, or all of it with CASCADE"));
  }
  if (!readers.empty()) answer.notices.push_back("dropped as well: " + joined(readers));
  RUNNEL_TRY(change({}, std::move(gone)));
  return answer;
}

}  // namespace runnel::storage::views
