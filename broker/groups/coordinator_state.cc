// Making groups' changes durable, and letting go of groups nobody needs.
#include "broker/groups/coordinator_state.h"

#include <algorithm>
#include <limits>

#include "protocol/base/assert.h"
#include "protocol/base/uuid.h"

namespace runnel::broker {
namespace {

constexpr std::uint64_t kAnyVersion = std::numeric_limits<std::uint64_t>::max();

}  // namespace

Error unknown_group(std::string_view group) {
  return Error(ErrorCode::kUnknownGroup, "there is no group \"" + std::string(group) +
                                             "\"; 'runnel group list' shows those there are");
}

void Coordinator::State::when_stored(Entry& entry, Answer answer, Work& work) {
  if (entry.stored == entry.version) {
    if (answer) work.push_back([answer = std::move(answer)] { answer({}); });
    return;
  }
  if (answer) entry.waiters.push_back({entry.version, std::move(answer)});
  if (entry.saving == 0) start_save(entry, work);
}

void Coordinator::State::start_save(Entry& entry, Work& work) {
  entry.saving = entry.version;
  entry.saves_deletion = entry.ending == Ending::kState;
  std::optional<std::string> value;
  if (!entry.saves_deletion) {
    RUNNEL_ASSERT(entry.snapshot || entry.consumer());
    value = entry.snapshot ? *entry.snapshot : entry.consumer()->encode();
  }
  work.push_back([self = shared_from_this(), name = entry.name(), version = entry.version,
                  v = std::move(value)]() mutable {
    self->store->save(std::string(kGroupKeyPrefix).append(name), std::move(v),
                      [self, name, version](Status status) { self->saved(name, version, status); });
  });
}

void Coordinator::State::saved(const std::string& name, std::uint64_t version,
                               const Status& status) {
  Work work;
  {
    MutexLock lock(mutex);
    const auto place = groups.find(name);
    RUNNEL_ASSERT(place != groups.end() && place->second.saving == version);
    Entry& entry = place->second;
    entry.saving = 0;
    if (status) entry.stored = version;
    if (status && entry.version == version) entry.snapshot.reset();
    // After a failure nobody learns of anything that is not stored; the next change or tick saves
    // again. After the group's end nobody is left waiting in it.
    const bool last = !status || entry.saves_deletion;
    answer_waiters(entry, 0, last ? kAnyVersion : version, status, work);
    if (status && entry.saves_deletion) {
      groups.erase(place);
    } else if (status && entry.version > version) {
      start_save(entry, work);
    }
  }
  run(work);
}

void Coordinator::State::answer_waiters(Entry& entry, std::uint64_t first, std::uint64_t last,
                                        const Status& status, Work& work) {
  std::erase_if(entry.waiters, [&](Waiter& waiter) {
    if (waiter.version < first || waiter.version > last) return false;
    work.push_back([answer = std::move(waiter.answer), status] { answer(status); });
    return true;
  });
}

void Coordinator::State::changed(Entry& entry, Time now) {
  ++entry.version;
  entry.empty_since = now;
  count_bytes(entry);
  tell_active(entry, now);
}

void Coordinator::State::count_bytes(Entry& entry) {
  const std::size_t bytes = entry.consumer() ? entry.consumer()->bytes() : 0;
  consumer_bytes += bytes - entry.consumer_bytes;
  entry.consumer_bytes = bytes;
}

bool Coordinator::State::has_memory(std::size_t bytes, bool joins) const {
  // New members are taken in up to the bound; those that are known may change beyond it.
  if (!joins) return bytes == 0 || consumer_bytes + bytes <= 2 * kMaxConsumerBytes;
  return consumer_bytes + kMemberOverheadBytes + bytes <= kMaxConsumerBytes;
}

Error Coordinator::State::no_memory() {
  return Error(ErrorCode::kOverloaded, "the subscriptions of all groups take " +
                                           std::to_string(kMaxConsumerBytes) +
                                           " bytes, which is the limit; stop some members");
}

void Coordinator::State::tell_active(Entry& entry, Time now) {
  const bool active = !entry.empty();
  if (active == entry.active) return;
  entry.active = active;
  entry.empty_since = now;
  store->set_active(entry.name(), active);  // under the lock, so in the right order
}

void Coordinator::State::start_deletion(Entry& entry, Time now, Work& work) {
  end_group(entry);
  changed(entry, now);
  when_stored(entry, {}, work);
}

void Coordinator::State::end_group(Entry& entry) {
  entry.ending = Ending::kState;
  if (ClassicGroup* group = entry.classic()) {
    classic_bytes -= group->bytes();
    group->kill();
  }
}

bool Coordinator::State::has_room(Time now, Work& work) {
  const std::size_t most = config.max_groups;
  if (groups.size() < most) return true;
  const std::size_t at_once = most / 100 + 1;
  // Some may be on their way out, but not any number: storage may fail.
  if (now < full_until || groups.size() >= most + 10 * at_once) {
    ++limit_counts.refused;
    return false;
  }
  std::size_t leaving = 0;
  std::vector<Entry*> unused;
  for (auto& [name, entry] : groups) {
    if (entry.deleting()) ++leaving;
    if (entry.deleting() || !entry.empty()) continue;
    const ClassicGroup* classic = entry.classic();
    if (classic != nullptr && classic->has_pending_members()) continue;
    unused.push_back(&entry);
  }
  if (groups.size() - leaving < most) return true;
  if (unused.empty()) {
    full_until = now + kFullGroupsRetry;
    ++limit_counts.refused;
    return false;
  }
  const auto end = unused.begin() + static_cast<std::ptrdiff_t>(std::min(at_once, unused.size()));
  std::partial_sort(unused.begin(), end, unused.end(),
                    [](const Entry* a, const Entry* b) { return a->empty_since < b->empty_since; });
  for (auto it = unused.begin(); it != end; ++it) {
    start_deletion(**it, now, work);
    ++limit_counts.forgotten;
  }
  return true;
}

Error Coordinator::State::full() const {
  return Error(ErrorCode::kOverloaded, "there are " + std::to_string(config.max_groups) +
                                           " groups with members, which is the limit; stop some");
}

GroupLimitCounts Coordinator::limit_counts() const {
  MutexLock lock(state_->mutex);
  return state_->limit_counts;
}

void Coordinator::State::tick_group(Entry& entry, Time now, const PartitionCount& counts,
                                    const Group::TopicMatch* match, Work& work) {
  if (entry.deleting()) {
    when_stored(entry, {}, work);
    return;
  }
  if (Group* group = entry.consumer()) {
    const bool expired = group->expire(now);
    const bool moved = group->refresh_topics(counts, match);
    if (expired || moved) changed(entry, now);
  }
  when_stored(entry, {}, work);  // also what failed to be stored before
  if (!entry.empty()) return;
  if (now - std::max(entry.empty_since, entry.looked_at) < kEmptyGroupLinger) return;
  if (entry.classic() && entry.classic()->has_pending_members()) return;
  entry.looked_at = now;
  const auto has_offsets = store->has_offsets(entry.name());
  if (has_offsets && !*has_offsets) start_deletion(entry, now, work);
}

void Coordinator::State::run_deadlines(Time now, Work& work) {
  if (now < next_deadline) return;
  next_deadline = ClassicGroup::kNever;
  for (auto& [name, entry] : groups) {
    if (entry.deleting()) continue;
    if (ClassicGroup* group = entry.classic()) {
      if (group->next_deadline() <= now) {
        const std::size_t before = group->bytes();
        auto effects = group->expire({now, config});
        classic_bytes += group->bytes() - before;
        apply(entry, std::move(effects), now, work);
      }
      next_deadline = std::min(next_deadline, group->next_deadline());
    } else {
      if (entry.consumer()->expire(now)) {
        changed(entry, now);
        when_stored(entry, {}, work);
      }
      next_deadline = std::min(next_deadline, entry.consumer()->next_deadline());
    }
  }
}

void Coordinator::run_deadlines(std::chrono::nanoseconds now) {
  State::Work work;
  {
    MutexLock lock(state_->mutex);
    state_->run_deadlines(now, work);
  }
  State::run(work);
}

std::chrono::nanoseconds Coordinator::next_deadline() const {
  MutexLock lock(state_->mutex);
  return state_->next_deadline;
}

void Coordinator::State::forget_if_unused(Groups::iterator place) {
  Entry& entry = place->second;
  if (!entry.unsaved() || !entry.empty()) return;
  if (entry.classic() && (entry.classic()->state() != ClassicGroup::State::kEmpty ||
                          entry.classic()->has_pending_members())) {
    return;
  }
  groups.erase(place);
}

std::string Coordinator::State::unique_text() {
  return Uuid::from_random(random.next(), random.next()).to_string();
}

}  // namespace runnel::broker
