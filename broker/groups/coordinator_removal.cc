// Coordinator::remove(): a group's positions and its state go, in this order, and its name is
// reserved until both are gone. So whoever comes in between finds neither half a group nor makes
// one anew that the removal then takes for its own.
#include "broker/groups/coordinator_state.h"
#include "protocol/base/assert.h"

namespace runnel::broker {

void Verdict::say(const Status& status) {
  MutexLock lock(mutex_);
  status_ = status;
  said_.notify_all();
}

Status Verdict::wait() {
  MutexLock lock(mutex_);
  while (!status_) said_.wait(lock);
  return *status_;
}

Result<Coordinator::State::Removal> Coordinator::State::begin_removal(std::string_view group,
                                                                      Work& work) {
  const auto place = groups.find(group);
  if (place == groups.end()) {  // it may have positions
    const auto made = groups.emplace(group, Entry(ClassicGroup(std::string(group)))).first;
    made->second.ending = Ending::kPositions;
    return Removal{};
  }
  Entry& entry = place->second;
  if (entry.deleting()) {
    const auto verdict = std::make_shared<Verdict>();
    Answer answer = [verdict](const Status& status) { verdict->say(status); };
    if (entry.ending == Ending::kState) {
      when_stored(entry, std::move(answer), work);
    } else {  // the version that end_removal() makes
      entry.waiters.push_back({entry.version + 1, std::move(answer)});
    }
    return Removal{verdict, true};
  }
  if (!entry.empty()) {
    return fail(ErrorCode::kGroupNotEmpty,
                "group \"" + std::string(group) + "\" has members; stop them first");
  }
  entry.ending = Ending::kPositions;
  return Removal{nullptr, true};
}

void Coordinator::State::end_removal(std::string_view group, const Status& positions, Answer answer,
                                     Work& work) {
  const auto place = groups.find(group);
  RUNNEL_ASSERT(place != groups.end() && place->second.ending == Ending::kPositions);
  Entry& entry = place->second;
  entry.waiters.push_back({entry.version + 1, std::move(answer)});
  if (!positions) {
    entry.ending = Ending::kNot;
    answer_waiters(entry, entry.version + 1, entry.version + 1, positions, work);
    return forget_if_unused(place);
  }
  end_group(entry);
  if (entry.unsaved()) {
    answer_waiters(entry, 0, entry.version + 1, {}, work);
    groups.erase(place);
    return;
  }
  ++entry.version;
  when_stored(entry, {}, work);
}

Status Coordinator::remove(std::string_view group) {
  State& state = *state_;
  bool known = false;
  while (true) {
    State::Work work;
    Result<State::Removal> removal = [&] {
      MutexLock lock(state.mutex);
      return state.begin_removal(group, work);
    }();
    State::run(work);
    if (!removal) return fail(std::move(removal).error());
    known = removal->known;
    if (!removal->other) break;
    RUNNEL_TRY(removal->other->wait());
  }
  // From here on the name is ours.
  const Status positions = [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const bool has_offsets, state.store->has_offsets(group));
    if (!known && !has_offsets) return fail(unknown_group(group));
    return state.store->delete_offsets(group);
  }();
  const auto verdict = std::make_shared<Verdict>();
  State::Work work;
  {
    MutexLock lock(state.mutex);
    state.end_removal(
        group, positions, [verdict](const Status& status) { verdict->say(status); }, work);
  }
  State::run(work);
  return verdict->wait();
}

}  // namespace runnel::broker
