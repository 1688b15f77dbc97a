#include "broker/http/proxy_consumers.h"

#include <pthread.h>
#include <re2/re2.h>

#include <algorithm>

#include "broker/groups/limits.h"
#include "broker/http/limits.h"
#include "broker/http/proxy_queue.h"
#include "storage/topic_configs.h"

namespace runnel::broker::http {

ProxyConsumers::ProxyConsumers(storage::Store& store, Coordinator& coordinator,
                               storage::Clock& clock, std::shared_ptr<MemoryGate> memory,
                               std::chrono::milliseconds instance_timeout)
    : store_(store),
      coordinator_(coordinator),
      clock_(clock),
      memory_(std::move(memory)),
      instance_timeout_(instance_timeout),
      queue_(std::make_shared<Queue>()),
      thread_([this] { work(); }) {}

ProxyConsumers::~ProxyConsumers() {
  std::deque<Job> dropped;
  {
    MutexLock lock(queue_->mutex);
    queue_->stopping = true;
    dropped.swap(queue_->jobs);
  }
  queue_->changed.notify_all();
  thread_.join();
}

void ProxyConsumers::post(Job job) {
  queue_->post(std::move(job));
}

void ProxyConsumers::work() {
  pthread_setname_np(pthread_self(), "runnel-rest");
  auto last_tick = Clock::now();
  for (bool stop = false;;) {
    auto job = queue_->take(!instances_.empty(), stop);
    if (stop) break;
    if (job) (*job)(*this);
    job.reset();
    const auto now = Clock::now();
    if (now - last_tick < Queue::kStep) continue;
    last_tick = now;
    tick(now);
  }
  while (!instances_.empty()) remove(instances_.begin()->second);
}

void ProxyConsumers::tick(Clock::time_point now) {
  std::vector<InstanceRef> all;
  for (const auto& [key, instance] : instances_) all.push_back(instance);
  for (const InstanceRef& instance : all) tick(instance, now);
}

void ProxyConsumers::tick(const InstanceRef& instance, Clock::time_point now) {
  ProxyInstance& i = *instance;
  if (i.waiting && now >= i.waiting->deadline) wake(i);
  const bool busy = i.reading || i.waiting.has_value();
  if (!busy && now - i.last_used > instance_timeout_) return remove(instance);
  heartbeat(instance, now);
  if (i.missing.empty() || now < i.next_take) return;
  take_missing(instance);
  if (i.error || i.is_settled()) wake(i);
}

void ProxyConsumers::wake(ProxyInstance& instance) {
  if (!instance.waiting) return;
  const auto go_on = std::move(instance.waiting->go_on);
  instance.waiting.reset();
  go_on();
}

// ---------------------------------------------------------------- instances
Reply<InstanceRef> ProxyConsumers::create(const std::string& group, std::string name,
                                          InstanceConfig config, const std::string& host) {
  if (group.size() > kMaxGroupNameBytes || name.size() > kMaxInstanceNameBytes) {
    return refuse(422, "a group's name has at most " + std::to_string(kMaxGroupNameBytes) +
                           " bytes, an instance's " + std::to_string(kMaxInstanceNameBytes));
  }
  if (name.empty()) {
    do {
      name = "rest-consumer-" + std::to_string(++last_name_) + "-" +
             std::to_string(clock_.now().value());
    } while (instances_.contains({group, name}));
  }
  if (instances_.contains({group, name})) {
    return refuse(ProxyCode::kInstanceExists,
                  "Consumer instance with the specified name already exists.");
  }
  MemoryLease lease;
  if (instances_.size() >= kMaxInstances ||
      !memory_->take_standing(kStandingCharge, kMostStanding, share_, lease)) {
    return refuse(503,
                  "there are too many consumer instances, or the memory for what stays is "
                  "used up; delete instances that nobody needs, or try again later");
  }
  auto made = std::make_shared<ProxyInstance>(group, name, config, host);
  made->lease = std::move(lease);
  made->last_used = Clock::now();
  instances_[{group, name}] = made;
  return made;
}

Reply<InstanceRef> ProxyConsumers::find(const std::string& group, const std::string& name) {
  const auto found = instances_.find({group, name});
  if (found == instances_.end()) {
    return refuse(ProxyCode::kInstanceNotFound,
                  "Consumer instance not found: it was never made, was deleted, or nothing was "
                  "asked of it for too long; make it again with POST /consumers/" +
                      group);
  }
  found->second->last_used = Clock::now();
  return found->second;
}

void ProxyConsumers::remove(const InstanceRef& instance) {
  const InstanceRef kept = instance;
  if (kept->config.auto_commit) commit(kept, nullptr, {});
  leave(kept);
  kept->removed = true;
  wake(*kept);
  instances_.erase({kept->group, kept->name});
}

Reply<void> ProxyConsumers::subscribe(const InstanceRef& instance, std::vector<std::string> topics,
                                      std::string pattern) {
  ProxyInstance& i = *instance;
  if (i.manual) {
    return refuse(ProxyCode::kSubscriptionExists,
                  "Subscription to topics, partitions and pattern are mutually exclusive: this "
                  "instance has assignments; make another one");
  }
  for (const std::string& topic : topics) {
    if (const Status valid = storage::validate_topic_name(topic); !valid) {
      return refuse(422, valid.error().message());
    }
  }
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  if (topics.empty() == pattern.empty() || topics.size() > kMaxMemberTopics) {
    return refuse(422, "a subscription has topics (1 to " + std::to_string(kMaxMemberTopics) +
                           "), or a topic_pattern");
  }
  RE2::Options options;
  options.set_max_mem(kMaxRegexMemoryBytes);
  options.set_log_errors(false);
  if (pattern.size() > kMaxRegexBytes || !RE2(pattern, options).ok()) {
    return refuse(422, "the topic_pattern is no regular expression of RE2");
  }
  if (i.config.auto_commit) commit(instance, nullptr, {});
  i.topics = std::move(topics);
  i.pattern = std::move(pattern);
  join(instance);
  return {};
}

void ProxyConsumers::unsubscribe(const InstanceRef& instance) {
  if (instance->config.auto_commit) commit(instance, nullptr, {});
  leave(instance);
  instance->topics.clear();
  instance->pattern.clear();
  instance->manual = false;
  take(instance, {});
}

Reply<void> ProxyConsumers::assign(const InstanceRef& instance,
                                   const std::vector<ProxyPlace>& partitions) {
  ProxyInstance& i = *instance;
  if (i.wants_to_be_in()) {
    return refuse(ProxyCode::kSubscriptionExists,
                  "Subscription to topics, partitions and pattern are mutually exclusive: this "
                  "instance subscribes to topics; delete its subscription first");
  }
  PartitionSet share;
  for (const ProxyPlace& p : partitions) {
    const auto ref = store_.partition(p.topic, p.partition);
    if (!ref) return tl::unexpected<Refusal>(proxy_refusal(ref.error(), false));
    share[p.topic].push_back(p.partition.value());
  }
  if (i.config.auto_commit) commit(instance, nullptr, {});
  i.manual = true;
  take(instance, share);
  return {};
}

void ProxyConsumers::await(const InstanceRef& instance, Clock::time_point deadline,
                           std::function<void()> go_on) {
  ProxyInstance& i = *instance;
  wake(i);  // there is one at most
  i.waiting = ProxyInstance::Waiting{deadline, std::move(go_on)};
  const bool has_no_share = !i.manual && !i.wants_to_be_in();
  if (i.is_settled() || i.error || has_no_share) wake(i);
}

// ---------------------------------------------------------------- places
Result<ProxyInstance::Place> ProxyConsumers::place_of(const ProxyInstance& instance,
                                                      const std::string& topic,
                                                      PartitionIndex partition) const {
  ProxyInstance::Place place;
  RUNNEL_TRY_ASSIGN(place.ref, store_.partition(topic, partition));
  RUNNEL_TRY_ASSIGN(const auto committed,
                    store_.committed_offset(instance.group, topic, partition));
  if (committed && committed->offset.value() >= 0) {
    place.next = place.committed = committed->offset;
    return place;
  }
  const auto info = store_.partition_info(place.ref);
  switch (instance.config.reset) {
    case InstanceConfig::Reset::kEarliest:
      place.next = info.log_start;
      return place;
    case InstanceConfig::Reset::kLatest:
      place.next = info.last_stable;
      return place;
    case InstanceConfig::Reset::kNone:
      break;
  }
  return fail(ErrorCode::kOffsetOutOfRange,
              "the group has committed nothing in " + topic + "/" +
                  std::to_string(partition.value()) +
                  ", and auto.offset.reset is none; commit an offset there, with POST "
                  "offsets");
}

void ProxyConsumers::commit(const InstanceRef& instance, const std::vector<ProxyPlace>* places,
                            std::function<void(const Status&)> done) {
  ProxyInstance& i = *instance;
  const auto answer = [&](const Status& status) {
    if (done) done(status);
  };
  storage::CommitRequest request;
  std::vector<std::pair<ProxyInstance::Place*, Offset>> moved;
  const auto add = [&](const ProxyInstance::Key& key, Offset offset) {
    request.offsets.push_back(
        {i.group, key.first, PartitionIndex(key.second), offset, LeaderEpoch(-1), {}});
    const auto known = i.places.find(key);
    if (known != i.places.end()) moved.emplace_back(&known->second, offset);
  };
  if (places != nullptr) {
    for (const ProxyPlace& p : *places) add({p.topic, p.partition.value()}, p.offset);
  } else {
    // Nobody asked: only what a client is known to have, for it asked for more since.
    const bool asked = static_cast<bool>(done);
    for (const auto& [key, place] : i.places) {
      const Offset until = asked ? place.next : place.taken;
      if (until >= Offset(0) && place.committed != until) add(key, until);
    }
  }
  if (request.offsets.empty()) return answer({});
  const auto hand_over = [&] {
    for (const auto& [place, offset] : moved) place->committed = offset;
    store_.queue_commit(
        std::move(request), [queue = queue_, weak = std::weak_ptr(instance), epoch = i.epoch,
                             done](const storage::CommitOutcome& outcome) {
          const Status status = outcome.result ? Status() : Status(fail(outcome.result.error()));
          if (done) done(status);
          if (status) return;
          queue->post([weak, epoch](ProxyConsumers&) {  // so that it is tried again
            const InstanceRef to = weak.lock();
            if (!to || to->epoch != epoch) return;
            for (auto& [key, place] : to->places) place.committed = Offset(-1);
          });
        });
  };
  const ErrorCode may =
      coordinator_.commit_as(i.group, i.identity(), {}, clock_.monotonic(), hand_over);
  if (may == ErrorCode::kOk) return;
  answer(fail(may, "the instance is no more what its group knows (" + std::string(name_of(may)) +
                       "): its partitions have gone to others; nothing was committed"));
}

}  // namespace runnel::broker::http
