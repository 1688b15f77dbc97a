// ALTER: options, PAUSE and RESUME.
#include <algorithm>
#include <future>

#include "storage/stats.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/service/service.h"
#include "storage/views/worker/dead_letters.h"

namespace runnel::storage::views {
namespace {

enum class Effect : std::uint8_t {
  kNone,       ///< on what the state says
  kPossible,   ///< the state is another one; what is there can stay, if the log does not give it
               ///< anew
  kEverything  ///< the state is another one, and nothing of it can stay
};

Effect effect_of(const std::string& option, const ViewPlan& plan) {
  if (option == "backfill" || option == "backfill_rate") return Effect::kNone;
  if (option == "late" || option == "max_groups" || option == "max_ahead") return Effect::kPossible;
  // Where windows never went, nobody has written down when they should.
  if (option == "retention" && plan.options.retention_micros) return Effect::kPossible;
  return Effect::kEverything;
}

std::int64_t begin_of(const StoredVersion& version, PartitionIndex partition) {
  const auto found = version.start.find(static_cast<std::uint32_t>(partition.value()));
  return found == version.start.end() ? 0 : found->second;
}

/// Of a look at where batches lie: few looks, and no large answer.
constexpr std::uint32_t kProbeBytes = 16u << 20;

/// Puts the options into all versions of a definition; what they do to its state.
Result<Effect> put_options(const std::vector<sql::Option>& options, const ViewPlan& plan,
                           std::vector<StoredVersion>& versions) {
  Effect effect = Effect::kNone;
  for (const sql::Option& option : options) {
    if (option.name.text == "changelog_topic") {
      return fail(sql::error_at(option.name.place,
                                "changelog_topic is set when the view is created; CREATE OR "
                                "REPLACE changes it"));
    }
    ViewOptions checked;
    RUNNEL_TRY(bind_options({option}, checked));
    effect = std::max(effect, effect_of(option.name.text, plan));
    for (StoredVersion& version : versions) {
      std::erase_if(version.altered,
                    [&](const auto& old) { return old.first == option.name.text; });
      version.altered.emplace_back(option.name.text, option.value);
    }
  }
  return effect;
}

}  // namespace

Result<std::optional<Service::Missing>> Service::missing(const TopicInfo& topic,
                                                         const StoredVersion& version) const {
  // What it went over moved its start; what it had read before that is not there any more.
  if (version.skipped > 0) {
    return Missing{std::to_string(version.skipped) +
                   " offsets that it went over are gone, and those before them with them"};
  }
  for (const PartitionInfo& partition : topic.partitions) {
    const std::int64_t start = begin_of(version, partition.index);
    if (start < partition.log_start.value()) {
      return Missing{"partition " + std::to_string(partition.index.value()) + " begins at offset " +
                     std::to_string(partition.log_start.value())};
    }
    RUNNEL_TRY_ASSIGN(auto why, damaged(topic, partition.index, Offset(start)));
    if (why) return Missing{std::move(*why), true};
  }
  auto why = erased(topic, version);
  return why ? std::optional(Missing{std::move(*why)}) : std::nullopt;
}

std::string Service::Missing::but(const std::string& way) const {
  return " (" + what + "); " +
         (lost ? "no view can be computed past them; once a backup is restored, or the topic's "
                 "records up to there are deleted, "
               : "") +
         way;
}

Result<std::optional<std::string>> Service::damaged(const TopicInfo& topic,
                                                    PartitionIndex partition, Offset from) const {
  std::optional<std::string> none;
  if (store_.stats().lost_ranges == 0) return none;
  const auto ref = store_.partition(topic.name, partition);
  if (!ref) return none;
  const Offset end = store_.partition_info(*ref).high_watermark;
  while (from < end) {
    FetchRequest request;
    request.items.push_back({*ref, from, kProbeBytes});
    request.max_bytes = kProbeBytes;
    // Where batches lie is asked, not their bytes: the index knows what is lost.
    std::promise<FetchedPartition> promise;
    store_.fetch(std::move(request),
                 [&](FetchResult result) { promise.set_value(std::move(result[0])); });
    const FetchedPartition found = promise.get_future().get();
    if (found.error) {
      // What can't be had just now may be there.
      if (found.error->code() != ErrorCode::kCorrupt) return fail(*found.error);
      return "partition " + std::to_string(partition.value()) + ": " + found.error->message();
    }
    if (found.next <= from) break;
    from = found.next;
  }
  return none;
}

std::optional<std::string> Service::erased(const TopicInfo& topic,
                                           const StoredVersion& version) const {
  for (const Erasure& brief : store_.erasures()) {
    if (brief.topic != topic.name || brief.requested < topic.created) continue;
    const bool ended = brief.removed != kNoTimestamp;
    if (ended && brief.removed < version.begun) continue;  // it never had them
    const auto receipt = store_.erasure(brief.id);
    for (const Erasure::Part& part : receipt ? receipt->parts : brief.parts) {
      if (ended && part.records == 0) continue;
      if (receipt && part.end.value() <= begin_of(version, part.index)) continue;
      return "records were erased from it by their key, erasure " + brief.id;
    }
  }
  return std::nullopt;
}

std::optional<Service::Missing> Service::compacted(const TopicInfo& topic) const {
  for (const PartitionInfo& partition : topic.partitions) {
    const auto ref = store_.partition(topic.name, partition.index);
    if (ref && store_.record_rules(*ref).needs_keys) return Missing{"the topic is compacted"};
  }
  return std::nullopt;
}

Result<Answer> Service::alter(const sql::Alter& statement) {
  const Entry* const entry = find(statement.name.text);
  if (entry == nullptr) return unknown(statement.name, statement.kind);
  const std::string words(words_of(entry->stored.kind));
  if (entry->stored.kind != statement.kind) {
    return fail(sql::error_at(statement.name.place, statement.name.text + " is a " + words));
  }
  if (statement.kind == sql::ObjectKind::kSource || statement.kind == sql::ObjectKind::kTable) {
    return fail(sql::error_at(
        statement.name.place,
        "a " + words + " has nothing to be altered; CREATE OR REPLACE " + words + " replaces it"));
  }
  if (entry->unreadable || entry->bound.empty() || entry->bound.front().problem) {
    return fail(sql::error_at(statement.name.place,
                              statement.name.text +
                                  " is not understood by this version of Runnel; it can be "
                                  "replaced or dropped"));
  }
  if (statement.action == sql::Alter::Action::kSet) return set_options(*entry, statement);
  if (statement.action == sql::Alter::Action::kResume) return resume(*entry);
  Entry paused = *entry;
  paused.stored.paused = true;
  RUNNEL_TRY(change({std::move(paused)}, {}));
  Answer answer;
  answer.tag = "ALTER " + words;
  return answer;
}

Result<Answer> Service::set_options(const Entry& entry, const sql::Alter& statement) {
  const std::string words(words_of(entry.stored.kind));
  if (!entry.is_view()) {
    return fail(sql::error_at(statement.name.place, "a " + words + " has no options"));
  }
  Entry changed = entry;
  const BoundVersion before = changed.bound.back();
  RUNNEL_TRY_ASSIGN(const Effect effect,
                    put_options(statement.options, *before.view, changed.stored.versions));
  Answer answer;
  answer.tag = "ALTER " + words;
  Along along;
  const auto known = definitions();
  std::optional<Missing> gone;
  if (effect != Effect::kNone && before.has_state()) {
    RUNNEL_TRY_ASSIGN(const TopicInfo topic, topic_of(before.view->source.topic));
    RUNNEL_TRY_ASSIGN(gone, missing(topic, changed.stored.versions.back()));
    if (!gone && effect == Effect::kPossible) gone = compacted(topic);
  }
  const bool rebuilds = before.has_state() && (effect == Effect::kEverything ||
                                               (effect == Effect::kPossible && !gone.has_value()));
  if (rebuilds) {
    StoredVersion version = changed.stored.versions.back();
    if (gone) {
      return fail(sql::error_at(statement.name.place,
                                "this needs the view to be built anew, and the log of " +
                                    before.view->source.topic + " no longer has all that is in it" +
                                    gone->but("CREATE OR REPLACE builds it of what is there")));
    }
    BoundVersion bound = bind_version(version, *known);
    if (bound.problem) return fail(*bound.problem);
    changed = entry;
    const bool tells = bound.view->source.on_error == sql::OnError::kDeadLetter ||
                       bound.view->options.late == LatePolicy::kDeadLetter;
    RUNNEL_TRY(put_version(changed, std::move(version), std::move(bound)));
    changed.stored.paused = entry.stored.paused;
    RUNNEL_TRY(inherit_letters(entry, changed, along.positions));
    if (tells) {
      answer.notices.push_back("dead letters that are in " + dead_letter_topic(entry.stored.name) +
                               " are not sent again; older records that only the new options "
                               "refuse are counted and not sent");
    }
  } else {
    for (std::size_t v = 0; v < changed.bound.size(); ++v) {
      changed.bound[v] = bind_version(changed.stored.versions[v], *known);
      if (changed.bound[v].problem) return fail(*changed.bound[v].problem);
      if (runs_in_circles(entry.stored.name, changed.bound[v])) {
        return fail(sql::error_at(statement.name.place, entry.stored.name +
                                                            " would read its own dead letters "
                                                            "again, for ever"));
      }
    }
    if (effect == Effect::kPossible && before.has_state()) {
      for (std::size_t v = 0; v < changed.bound.size(); ++v) {
        if (!changed.bound[v].has_state()) continue;
        along.leaps.push_back({entry.stored.number, changed.stored.versions[v].generation});
      }
      answer.notices.push_back(
          "the log no longer has all that is in " + entry.stored.name + " (" + gone->what +
          "), so this holds for what is read from now on; what was left out or has expired does "
          "not come back");
    }
  }
  RUNNEL_TRY(change({std::move(changed)}, {}, along));
  return answer;
}

Result<std::int64_t> Service::next_of(const Entry& entry, const StoredVersion& version,
                                      std::uint32_t partition) const {
  const ViewId id{entry.stored.number, version.generation};
  Cursor cursor;
  if (entry.is_view()) {
    std::shared_ptr<StateStore> state;
    {
      const MutexLock lock(mutex_);
      state = state_;
    }
    std::string value;
    if (state) {
      RUNNEL_TRY_ASSIGN(const bool found,
                        state->get(partition_key(id, Space::kCursors, partition), value));
      if (found && !cursor.decode(as_bytes(value))) {
        return fail(ErrorCode::kCorrupt, "the cursor of " + entry.stored.name + " is damaged");
      }
    }
  } else {
    RUNNEL_TRY_ASSIGN(cursor, stream_position(store_, id, partition));
  }
  const auto start = version.start.find(partition);
  return std::max(cursor.next, start == version.start.end() ? 0 : start->second);
}

Status Service::go_over_gap(const Entry& entry, StoredVersion& version,
                            std::vector<std::string>& notices) {
  const BoundVersion& bound = entry.bound.front();
  if (!bound.has_state() && !bound.stream) return {};
  RUNNEL_TRY_ASSIGN(const TopicInfo topic,
                    topic_of(bound.view ? bound.view->source.topic : bound.stream->source.topic));
  for (const PartitionInfo& partition : topic.partitions) {
    const auto number = static_cast<std::uint32_t>(partition.index.value());
    RUNNEL_TRY_ASSIGN(const std::int64_t next, next_of(entry, version, number));
    const std::int64_t begin = partition.log_start.value();
    if (next >= begin) continue;
    version.skipped += static_cast<std::uint64_t>(begin - next);
    version.start[number] = begin;
    notices.push_back("partition " + std::to_string(number) + ": offsets " + std::to_string(next) +
                      " to " + std::to_string(begin - 1) +
                      " were removed from the log before they were read and are not in " +
                      entry.stored.name);
  }
  return {};
}

Result<Answer> Service::resume(Entry entry) {
  Answer answer;
  answer.tag = "ALTER " + std::string(words_of(entry.stored.kind));
  entry.stored.paused = false;
  bool damaged = false;
  Along along;
  const Entry before = entry;
  for (StoredVersion& version : entry.stored.versions) {
    if (!version.failure) continue;
    damaged = damaged || version.failure->code() == ErrorCode::kCorrupt;
    if (version.failure->code() == ErrorCode::kOffsetOutOfRange) {
      RUNNEL_TRY(go_over_gap(entry, version, answer.notices));
    }
    version.failure.reset();
  }
  for (const BoundVersion& bound : entry.bound) {
    if (!bound.has_state() || !bound.view->options.changelog_topic) continue;
    RUNNEL_TRY_ASSIGN(const TopicInfo source, topic_of(bound.view->source.topic));
    RUNNEL_TRY(ensure_changelog_topic(store_, *bound.view->options.changelog_topic,
                                      source.partitions.size()));
  }
  if (damaged && entry.bound.back().has_state()) {
    // Damaged state is computed anew, if the log still has what it was computed from.
    StoredVersion version = entry.stored.versions.back();
    RUNNEL_TRY_ASSIGN(const TopicInfo topic, topic_of(entry.bound.back().view->source.topic));
    RUNNEL_TRY_ASSIGN(const auto gone, missing(topic, version));
    if (gone) {
      answer.notices.push_back("it goes on with the state it has, for the log of " + topic.name +
                               " no longer has all that is in it" +
                               gone->but("CREATE OR REPLACE builds it of what is there"));
    } else {
      BoundVersion bound = entry.bound.back();
      entry.stored.versions.front().built = false;  // not kept beside
      RUNNEL_TRY(put_version(entry, std::move(version), std::move(bound)));
      entry.stored.versions.back().lost = true;
      RUNNEL_TRY(inherit_letters(before, entry, along.positions));
      answer.notices.push_back(entry.stored.name + " is computed anew from the log");
    }
  }
  RUNNEL_TRY(change({std::move(entry)}, {}, along));
  return answer;
}

}  // namespace runnel::storage::views
