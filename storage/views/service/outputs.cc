// The topics that views and streams write.
#include <algorithm>

#include "storage/views/service/changelog.h"
#include "storage/views/service/service.h"
#include "storage/views/worker/dead_letters.h"

namespace runnel::storage::views {
namespace {

/// The topic that has its rows; nullptr: none.
const std::string* output_of(const BoundVersion& bound) {
  if (bound.stream) return &bound.stream->topic;
  if (!bound.has_state() || !bound.view->options.changelog_topic) return nullptr;
  return &*bound.view->options.changelog_topic;
}

/// All topics to which something of it goes.
std::vector<std::string> written_by(std::string_view name, const BoundVersion& bound) {
  std::vector<std::string> topics;
  if (const std::string* const rows = output_of(bound)) topics.push_back(*rows);
  if (!bound.has_state()) return topics;
  const ViewPlan& view = *bound.view;
  if (view.source.on_error == sql::OnError::kDeadLetter ||
      view.options.late == LatePolicy::kDeadLetter) {
    topics.push_back(dead_letter_topic(name));
  }
  return topics;
}

bool reads_topic(const BoundVersion& bound, const std::string& topic) {
  if (!bound.view && !bound.stream) return false;
  const SourcePlan& source = bound.view ? bound.view->source : bound.stream->source;
  const auto& joins = bound.view ? bound.view->joins : bound.stream->joins;
  return source.topic == topic ||
         std::any_of(joins.begin(), joins.end(),
                     [&](const JoinPlan& join) { return join.table.topic == topic; });
}

}  // namespace

bool Service::runs_in_circles(std::string_view name, const BoundVersion& bound) {
  std::vector<std::string> written = written_by(name, bound);
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (reads_topic(bound, written[i])) return true;
    for (const auto& [number, entry] : entries_) {
      for (const BoundVersion& other : entry.bound) {
        if (!reads_topic(other, written[i])) continue;
        for (std::string& topic : written_by(entry.stored.name, other)) {
          if (std::find(written.begin(), written.end(), topic) == written.end()) {
            written.push_back(std::move(topic));
          }
        }
      }
    }
  }
  return false;
}

const Entry* Service::writer_of(const std::string& topic) {
  for (const auto& [number, entry] : entries_) {
    for (const BoundVersion& bound : entry.bound) {
      const std::string* const written = output_of(bound);
      if (written != nullptr && *written == topic) return &entry;
    }
  }
  return nullptr;
}

// ---------------------------------------------------------------- dead letters
std::optional<ViewId> Service::sender_of(const Entry& entry, const StoredVersion& version) {
  // The first one is read, or was, and sends them.
  for (const StoredVersion& one : entry.stored.versions) {
    if (one.sql == version.sql && one.inputs == version.inputs) {
      return ViewId{entry.stored.number, one.generation};
    }
  }
  return std::nullopt;
}

Status Service::inherit_letters(ViewId before, ViewId now, StateEntries& positions) const {
  const std::string old_prefix = position_prefix(kLettersPrefix, before);
  const std::string prefix = position_prefix(kLettersPrefix, now);
  RUNNEL_TRY_ASSIGN(StateEntries letters, store_.read_state(old_prefix));
  for (auto& [key, value] : letters) {
    positions.emplace_back(prefix + key.substr(old_prefix.size()), std::move(value));
  }
  return {};
}

Status Service::inherit_letters(const Entry& before, const Entry& now, StateEntries& positions) {
  const StoredVersion& version = now.stored.versions.back();
  const auto sender = sender_of(before, version);
  // Who stays beside sends on, and gives way when the other one takes its place.
  if (!sender || now.stored.versions.size() > 1) return {};
  again_ = true;  // whoever is stopped here goes on, whatever becomes of the rest
  std::shared_ptr<TopicRunner> runner;
  {
    const MutexLock lock(mutex_);
    runner = runner_of(*sender);
  }
  if (runner) remove_runner(*runner);
  return inherit_letters(*sender, {now.stored.number, version.generation}, positions);
}

// ---------------------------------------------------------------- changelogs
Status Service::prepare_changelog(const sql::CreateView& statement, const ViewPlan& plan,
                                  const Entry* replaced) {
  const std::string& topic = *plan.options.changelog_topic;
  const auto refuse = [&](const std::string& why) {
    return fail(sql::error_at(statement.name.place, why));
  };
  if (plan.source.topic.empty()) {
    return refuse(plan.name + " is computed from view " + plan.source.name +
                  " whenever it is read and has no changes of its own; " + plan.source.name +
                  " can have a changelog_topic");
  }
  const Entry* const writer = writer_of(topic);
  if (writer != nullptr && writer != replaced) {
    return refuse("the topic " + topic + " is written by " + writer->stored.name +
                  "; a changelog_topic has the rows of one view");
  }
  BoundVersion bound;
  bound.view = std::make_shared<const ViewPlan>(plan);
  if (runs_in_circles(plan.name, bound)) {
    return refuse("the changes of " + plan.name + " in " + topic + " would be read by it again");
  }
  RUNNEL_TRY_ASSIGN(const TopicInfo source, topic_of(plan.source.topic));
  RUNNEL_TRY(ensure_changelog_topic(store_, topic, source.partitions.size()));
  RUNNEL_TRY_ASSIGN(const TopicInfo there, topic_of(topic));
  const bool empty =
      std::all_of(there.partitions.begin(), there.partitions.end(),
                  [](const PartitionInfo& one) { return one.log_start >= one.high_watermark; });
  if (writer != nullptr || empty) return {};
  return refuse("the topic " + topic +
                " has records already, which would stand beside the rows of " + plan.name +
                "; name another one, or delete it first");
}

}  // namespace runnel::storage::views
