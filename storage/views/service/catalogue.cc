#include "storage/views/service/catalogue.h"

#include <algorithm>

#include "storage/views/plan/bind.h"
#include "storage/views/plan/max_ahead.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::views {
namespace {

/// A version's own inputs before everything else.
class Inputs final : public Catalog {
 public:
  explicit Inputs(const Catalog& others) : others_(others) {}
  [[nodiscard]] Status add(const std::string& text) {
    RUNNEL_TRY_ASSIGN(const sql::Statement statement, sql::parse_statement(text));
    const auto* const source = std::get_if<sql::CreateSource>(&statement);
    if (source == nullptr) return fail(ErrorCode::kCorrupt, "no source is read: " + text);
    RUNNEL_TRY_ASSIGN(SourcePlan plan, bind_source(*source));
    std::string name = plan.name;
    sources_.insert_or_assign(std::move(name), std::move(plan));
    return {};
  }
  [[nodiscard]] const SourcePlan* find_source(std::string_view name) const override {
    const auto found = sources_.find(name);
    return found == sources_.end() ? others_.find_source(name) : &found->second;
  }
  [[nodiscard]] bool is_view(std::string_view name) const override { return others_.is_view(name); }
  [[nodiscard]] std::vector<std::string_view> source_names() const override {
    return others_.source_names();
  }

 private:
  const Catalog& others_;
  std::map<std::string, SourcePlan, std::less<>> sources_;
};

void set_option(const std::string& name, const std::string& value,
                std::vector<sql::Option>& options) {
  std::erase_if(options, [&](const sql::Option& option) { return option.name.text == name; });
  options.push_back({{name, {}}, value});
}

Status bind_into(const StoredVersion& version, const Catalog& others, BoundVersion& bound) {
  RUNNEL_TRY_ASSIGN(sql::Statement statement, sql::parse_statement(version.sql));
  Inputs inputs(others);
  for (const std::string& input : version.inputs) RUNNEL_TRY(inputs.add(input));
  if (const auto* const source = std::get_if<sql::CreateSource>(&statement)) {
    RUNNEL_TRY_ASSIGN(SourcePlan plan, bind_source(*source));
    bound.source = std::make_shared<const SourcePlan>(std::move(plan));
  } else if (auto* const view = std::get_if<sql::CreateView>(&statement)) {
    for (const auto& [name, value] : version.altered) set_option(name, value, view->options);
    RUNNEL_TRY_ASSIGN(ViewPlan plan, bind_view(*view, version.sql, inputs));
    const bool names_max_ahead =
        std::any_of(view->options.begin(), view->options.end(),
                    [](const sql::Option& option) { return option.name.text == "max_ahead"; });
    // What was defined before there was such a bound means what it meant.
    if (version.defaults == kDefaultsWithoutMaxAhead && !names_max_ahead) {
      plan.options.max_ahead_micros = kNoMaxAhead;
    }
    bound.view = std::make_shared<const ViewPlan>(std::move(plan));
  } else if (const auto* const stream = std::get_if<sql::CreateStream>(&statement)) {
    RUNNEL_TRY_ASSIGN(StreamPlan plan, bind_stream(*stream, version.sql, inputs));
    bound.stream = std::make_shared<const StreamPlan>(std::move(plan));
  } else {
    return fail(ErrorCode::kCorrupt, "the stored statement defines nothing");
  }
  return {};
}

/// A view of views: everything that it reads is looked up among the others.
bool is_over_view(const Entry& entry) {
  return entry.is_view() && entry.current() != nullptr && entry.current()->inputs.empty();
}

DefinitionRef definition_of(const Entry& entry) {
  auto made = std::make_shared<Definition>();
  made->name = entry.stored.name;
  made->kind = entry.stored.kind;
  made->created = entry.stored.created;
  made->paused = entry.stored.paused;
  made->failure = entry.unreadable;
  if (const StoredVersion* const version = entry.current()) {
    made->sql = version->sql;
    made->id = {entry.stored.number, version->generation};
    made->building = !version->built;
    made->skipped = version->skipped;
    // What is missing in the middle is missing, wherever it began.
    for (const auto& [partition, offset] :
         version->skipped == 0 ? version->start : StartOffsets()) {
      made->start.emplace_back(PartitionIndex(static_cast<std::int32_t>(partition)),
                               Offset(offset));
    }
    if (version->failure) made->failure = version->failure;
  }
  if (!entry.bound.empty()) {
    const BoundVersion& bound = entry.bound.front();
    made->source = bound.source;
    made->view = bound.view;
    made->stream = bound.stream;
    if (bound.view) made->source = std::make_shared<const SourcePlan>(rows_of(*bound.view));
    if (bound.problem) made->failure = bound.problem;
  }
  return made;
}

}  // namespace

std::string_view words_of(sql::ObjectKind kind) noexcept {
  switch (kind) {
    case sql::ObjectKind::kSource:
      return "SOURCE";
    case sql::ObjectKind::kTable:
      return "TABLE";
    case sql::ObjectKind::kStream:
      return "STREAM";
    case sql::ObjectKind::kView:
      break;
  }
  return "MATERIALIZED VIEW";
}

std::vector<std::string> names_read(const sql::Query& query) {
  std::vector<std::string> names;
  if (query.from) names.push_back(query.from->source.text);
  for (const sql::Join& join : query.joins) names.push_back(join.table.source.text);
  return names;
}

std::vector<std::string> names_read(const Entry& entry) {
  if (entry.stored.versions.empty()) return {};
  const auto statement = sql::parse_statement(entry.stored.versions.back().sql);
  if (!statement) return {};
  if (const auto* const view = std::get_if<sql::CreateView>(&*statement)) {
    return names_read(view->query);
  }
  if (const auto* const stream = std::get_if<sql::CreateStream>(&*statement)) {
    return names_read(stream->query);
  }
  return {};
}

BoundVersion bind_version(const StoredVersion& version, const Catalog& others) {
  BoundVersion bound;
  const Status done = bind_into(version, others, bound);
  if (!done) {
    bound.problem =
        Error(done.error().code(), "this version of Runnel does not understand the definition: " +
                                       done.error().message() + "; it was: " + version.sql);
  }
  return bound;
}

void bind_all(Entries& entries) {
  const Definitions none;
  for (auto& [number, entry] : entries) {
    entry.bound.clear();
    if (is_over_view(entry)) continue;
    for (const StoredVersion& version : entry.stored.versions) {
      entry.bound.push_back(bind_version(version, none));
    }
  }
}

std::shared_ptr<const Definitions> definitions_of(Entries& entries) {
  Definitions::Map all;
  std::vector<Entry*> waiting;
  for (auto& [number, entry] : entries) {
    if (is_over_view(entry)) {
      waiting.push_back(&entry);
    } else {
      all.insert_or_assign(entry.stored.name, definition_of(entry));
    }
  }
  // Each round binds at least those whose inputs are there; what is left then has lost its input.
  while (!waiting.empty()) {
    const Definitions known(all);
    std::vector<Entry*> still;
    for (Entry* const entry : waiting) {
      BoundVersion bound = bind_version(*entry->current(), known);
      if (bound.problem) {
        still.push_back(entry);
        entry->bound.assign(1, std::move(bound));
        continue;
      }
      entry->bound.assign(1, std::move(bound));
      for (std::size_t v = 1; v < entry->stored.versions.size(); ++v) {
        entry->bound.push_back(bind_version(entry->stored.versions[v], known));
      }
      all.insert_or_assign(entry->stored.name, definition_of(*entry));
    }
    if (still.size() == waiting.size()) {
      for (Entry* const entry : still) {
        entry->bound.resize(entry->stored.versions.size());
        all.insert_or_assign(entry->stored.name, definition_of(*entry));
      }
      break;
    }
    waiting = std::move(still);
  }
  return std::make_shared<const Definitions>(std::move(all));
}

}  // namespace runnel::storage::views
