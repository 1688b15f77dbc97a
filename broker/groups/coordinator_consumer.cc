// Kafka's consumer groups (KIP-848), and what Kafka's clients ask about groups of both kinds.
#include <map>

#include "broker/groups/coordinator_state.h"
#include "broker/groups/topic_matcher.h"

namespace runnel::broker {

Result<Coordinator::State::Groups::iterator> Coordinator::State::group_for(
    const ConsumerHeartbeat& request, Time now, Work& work) {
  const bool joins = request.member_epoch == protocol::native::kEpochJoin;
  const auto place = groups.find(request.group);
  if (place == groups.end()) {
    if (!joins) return fail(unknown_group(request.group));
    if (!has_room(now, work)) return fail(ErrorCode::kNotAvailable, full().message());
    return groups.emplace(request.group, Entry(Group(request.group))).first;
  }
  Entry& entry = place->second;
  if (entry.deleting()) {
    return fail(ErrorCode::kNotAvailable,
                "group \"" + request.group + "\" is being deleted; try again");
  }
  if (entry.consumer()) return place;
  if (!joins || !entry.empty()) {
    return fail(ErrorCode::kUnknownGroup,
                "group \"" + request.group +
                    "\" is not a consumer group: its members use the classic protocol, and a group "
                    "changes its protocol only when it is empty");
  }
  become_consumer(entry);
  return place;
}

void Coordinator::State::heartbeat(const ConsumerHeartbeat& request, std::string_view host,
                                   Time now, ConsumerCallback done, Work& work) {
  const auto refuse = [&](Error error) {
    work.push_back([done = std::move(done), error = std::move(error)] { done(fail(error)); });
  };
  const bool joins = request.member_epoch == protocol::native::kEpochJoin;
  if (!has_memory(request.topics ? bytes_of(*request.topics) : 0, joins)) {
    return refuse(Error(ErrorCode::kNotAvailable, no_memory().message()));
  }
  auto place = group_for(request, now, work);
  if (!place) return refuse(std::move(place).error());
  Entry& entry = (*place)->second;
  const std::string new_id = unique_text();
  const Group::TopicMatch match = [this](const std::string& pattern) {
    const std::vector<std::string> topics =
        topic_names ? topic_names() : std::vector<std::string>();
    return matcher_of(topics)(pattern);
  };
  auto outcome =
      entry.consumer()->heartbeat(request, {now, host, new_id, &partition_count, &match, &config});
  if (outcome.changed) changed(entry, now);
  next_deadline = std::min(next_deadline, entry.consumer()->next_deadline());
  if (!outcome.reply) {
    when_stored(entry, {}, work);
    forget_if_unused(*place);
    return refuse(std::move(outcome.reply).error());
  }
  when_stored(
      entry,
      [done = std::move(done), reply = std::move(*outcome.reply)](const Status& status) {
        if (status) return done(reply);
        done(fail(ErrorCode::kNotAvailable, status.error().to_string()));
      },
      work);
}

void Coordinator::consumer_heartbeat(const ConsumerHeartbeat& request, std::string_view host,
                                     std::chrono::nanoseconds now, ConsumerCallback done) {
  if (Status status = Group::validate(request); !status) {
    return done(fail(std::move(status).error()));
  }
  State::Work work;
  {
    MutexLock lock(state_->mutex);
    state_->heartbeat(request, host, now, std::move(done), work);
  }
  State::run(work);
}

Result<ConsumerDescription> Coordinator::describe_consumer(std::string_view group) const {
  MutexLock lock(state_->mutex);
  const auto place = state_->groups.find(group);
  if (place == state_->groups.end() || place->second.deleting() || !place->second.consumer()) {
    return fail(unknown_group(group));
  }
  return place->second.consumer()->describe_consumer(true);
}

ErrorCode Coordinator::State::check_commit(std::string_view group,
                                           const classic::MemberIdentity& member, CommitKind kind,
                                           Time now) {
  const auto place = groups.find(group);
  if (place == groups.end()) {
    return member.generation < 0 ? ErrorCode::kOk : ErrorCode::kUnknownGroup;
  }
  Entry& entry = place->second;
  if (entry.deleting()) return ErrorCode::kNotAvailable;
  if (const Group* consumer = entry.consumer()) {
    return consumer->check_commit(member, kind.transactional, kind.knows_epochs);
  }
  const ErrorCode error = entry.classic()->check_commit(member, kind.transactional, {now, config});
  next_deadline = std::min(next_deadline, entry.classic()->next_deadline());
  return error;
}

ErrorCode Coordinator::commit_as(std::string_view group, const classic::MemberIdentity& member,
                                 CommitKind kind, std::chrono::nanoseconds now,
                                 const std::function<void()>& queue) {
  {
    MutexLock lock(state_->mutex);
    const ErrorCode error = state_->check_commit(group, member, kind, now);
    if (error == ErrorCode::kOk) queue();
    if (error != ErrorCode::kUnknownGroup) return error;
  }
  // A group that has positions and never had members is one all the same.
  const auto has_offsets = state_->store->has_offsets(group);
  if (!has_offsets) return has_offsets.error().code();
  return *has_offsets ? ErrorCode::kUnknownMember : ErrorCode::kUnknownGroup;
}

ErrorCode Coordinator::check_kafka_fetch(std::string_view group, const std::string& member_id,
                                         std::int32_t member_epoch) const {
  MutexLock lock(state_->mutex);
  const auto place = state_->groups.find(group);
  if (place == state_->groups.end() || !place->second.consumer()) return ErrorCode::kOk;
  return place->second.consumer()->check_commit({member_id, std::nullopt, member_epoch}, false,
                                                true);
}

Result<std::vector<bool>> Coordinator::subscribed(std::string_view group,
                                                  std::span<const std::string> topics) const {
  std::vector<bool> answer(topics.size(), false);
  {
    MutexLock lock(state_->mutex);
    const auto place = state_->groups.find(group);
    if (place != state_->groups.end() && !place->second.deleting()) {
      const State::Entry& entry = place->second;
      if (entry.classic() && !entry.empty() && entry.classic()->protocol_type() != "consumer") {
        return fail(ErrorCode::kGroupNotEmpty,
                    "group \"" + std::string(group) + "\" has members; stop them first");
      }
      for (std::size_t i = 0; i < topics.size(); ++i) {
        answer[i] = entry.classic() ? entry.classic()->subscribes(topics[i])
                                    : entry.consumer()->subscribes(topics[i]);
      }
      return answer;
    }
  }
  RUNNEL_TRY_ASSIGN(const bool has_offsets, state_->store->has_offsets(group));
  if (!has_offsets) return fail(unknown_group(group));
  return answer;
}

Result<std::vector<GroupListing>> Coordinator::list_all() const {
  std::map<std::string, GroupListing> all;
  RUNNEL_TRY_ASSIGN(auto names, state_->store->groups_with_offsets());
  for (std::string& name : names) {
    GroupListing& listing = all[name];
    listing.state = name_of(ClassicGroup::State::kEmpty);
    listing.group = std::move(name);
  }
  {
    MutexLock lock(state_->mutex);
    for (const auto& [name, entry] : state_->groups) {
      if (entry.deleting()) continue;
      if (const ClassicGroup* classic = entry.classic()) {
        all[name] = {name, GroupKind::kClassic, std::string(name_of(classic->state())),
                     std::string(classic->protocol_type())};
      } else {
        all[name] = {name, GroupKind::kConsumer, entry.consumer()->describe_consumer(false).state,
                     "consumer"};
      }
    }
  }
  std::vector<GroupListing> listings;
  listings.reserve(all.size());
  for (auto& [name, listing] : all) listings.push_back(std::move(listing));
  return listings;
}

}  // namespace runnel::broker
