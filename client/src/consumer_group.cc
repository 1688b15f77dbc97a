// A consumer's membership: heartbeats, taking partitions up and giving them back.
#include <algorithm>

#include "client/src/consumer_core.h"

namespace runnel::client {
namespace {
constexpr Milliseconds kHeartRetry{200};
}

void ConsumerCore::heartbeat_later(Milliseconds delay) {
  core->loop->cancel(heart_timer_);
  heart_timer_ = core->loop->after(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->heartbeat();
  });
}

void ConsumerCore::heartbeat() {
  if (ended_ || heart_outstanding_) return;
  heart_outstanding_ = true;
  native::GroupHeartbeat beat;
  beat.group = options_.group;
  beat.member_id = member_id_;
  beat.member_epoch = epoch_;
  beat.instance_id = options_.instance_id;
  beat.client_name = core->options.client_name;
  beat.topics = options_.topics;
  beat.assignor = options_.assignor;
  beat.session_timeout_ms = static_cast<std::uint32_t>(options_.session_timeout.count());
  for (const auto& [tp, part] : parts_) beat.owned.push_back(to_wire(tp));
  core->connection->request(std::move(beat), {}, core->options.request_timeout,
                            [weak = weak_from_this()](Answer a) {
                              if (const auto self = weak.lock()) self->heart_answered(std::move(a));
                            });
}

void ConsumerCore::heart_answered(Answer answer) {
  heart_outstanding_ = false;
  if (ended_) return;
  if (!answer) {
    const ErrorCode code = answer.error().error.code();
    if (code == ErrorCode::kUnknownMember || code == ErrorCode::kStaleGeneration ||
        (code == ErrorCode::kFenced && options_.instance_id.empty())) {
      lose_all();
      epoch_ = native::kEpochJoin;
      publish();
    } else if (!answer.error().maybe_done && answer.error().action == ErrorAction::kPermanent) {
      if (code == ErrorCode::kFenced) lose_all();
      return fail(to_failure(answer.error()));
    }
    return heartbeat_later(kHeartRetry);
  }
  auto* reply = std::get_if<native::GroupHeartbeatReply>(&answer->response);
  if (reply == nullptr) return fail(wrong_reply());
  epoch_ = reply->member_epoch;
  if (reply->heartbeat_interval_ms > 0)
    heart_interval_ = Milliseconds(reply->heartbeat_interval_ms);
  wanted_.emplace();
  for (const auto& tp : reply->assignment) wanted_->insert(from_wire(tp));
  publish();
  heartbeat_later(heart_interval_);
  reconcile();
}

void ConsumerCore::reconcile() {
  if (!wanted_ || ended_) return;
  Partitions gone;
  for (const auto& [tp, part] : parts_) {
    if (!wanted_->contains(tp)) gone.push_back(tp);
  }
  // Records that the application still works on keep their partition until the next poll().
  if (!gone.empty() && handed_out_) return;
  Partitions fresh;
  for (const auto& tp : *wanted_) {
    if (!parts_.contains(tp)) fresh.push_back(tp);
  }
  wanted_.reset();
  if (!fresh.empty()) {
    for (const auto& tp : fresh) parts_[tp].resolving = true;
    if (options_.on_assigned) options_.on_assigned(fresh);
    begin_at_committed(fresh, [self = shared_from_this()](Outcome<void> o) {
      if (!o) self->fail(o.error());
    });
  }
  if (!gone.empty()) {
    revoke(gone);
  } else if (!fresh.empty()) {
    heartbeat_later(Milliseconds(0));
  }
}

void ConsumerCore::revoke(const Partitions& gone) {
  std::vector<GroupOffset> offsets;
  if (options_.auto_commit) {
    for (auto& o : to_commit(true)) {
      if (std::find(gone.begin(), gone.end(), o.target) != gone.end())
        offsets.push_back(std::move(o));
    }
  }
  if (options_.on_revoked) options_.on_revoked(gone);
  for (const auto& tp : gone) {
    forget_chunks(tp);
    parts_.erase(tp);
  }
  publish();
  refetch();
  // Requests of one connection are handled in order: the commit is there before the partitions go.
  if (!offsets.empty()) auto_commit(std::move(offsets), /*final=*/true);
  heartbeat_later(Milliseconds(0));
}

void ConsumerCore::lose_all() {
  Partitions gone;
  for (const auto& [tp, part] : parts_) gone.push_back(tp);
  parts_.clear();
  chunks_.clear();
  buffered_ = 0;
  wanted_.reset();
  refetch();
  if (!gone.empty() && options_.on_lost) options_.on_lost(gone);
}

void ConsumerCore::begin_again_later(const Partitions& partitions, Callback<void> done) {
  core->loop->after(kHeartRetry, [self = shared_from_this(), partitions, done] {
    Partitions left;
    for (const auto& tp : partitions) {
      if (self->parts_.contains(tp)) left.push_back(tp);  // the rest was taken away
    }
    if (!self->ended_ && !left.empty()) self->begin_at_committed(left, done);
  });
}

void ConsumerCore::begin_at_committed(const Partitions& partitions, Callback<void> done) {
  native::FetchGroupOffsets request{options_.group, {}};
  for (const auto& tp : partitions) {
    parts_[tp].resolving = true;
    request.partitions.push_back(to_wire(tp));
  }
  auto after = [self = shared_from_this(), partitions,
                done](Outcome<native::GroupOffsetsReply> reply) {
    const bool nothing = !reply && reply.error().errc() == Errc::unknown_group;
    if (!reply && !nothing) {
      if (reply.error().action() == Action::permanent) {
        self->stop_at(partitions);
        return done(reply.error());
      }
      return self->begin_again_later(partitions, done);
    }
    std::map<TopicPartition, std::int64_t> known;
    if (reply) {
      for (const auto& o : reply->offsets) known[from_wire(o.target)] = o.offset.value();
    }
    Places places;
    for (const auto& tp : partitions) {
      const auto it = known.find(tp);
      if (it != known.end() && it->second >= 0) {
        places.emplace_back(tp, Position::at(it->second));
        if (auto at = self->parts_.find(tp); at != self->parts_.end())
          at->second.committed = it->second;
      } else if (self->options_.reset == Reset::fail) {
        return done(Failure(Errc::not_found, "group \"" + self->options_.group +
                                                 "\" has committed nothing for " + tp.topic + "[" +
                                                 std::to_string(tp.partition) + "]"));
      } else {
        places.emplace_back(tp, self->options_.reset == Reset::earliest ? Position::earliest()
                                                                        : Position::latest());
      }
    }
    resolve_positions(
        self->core, std::move(places),
        [self, partitions, done](Outcome<std::map<TopicPartition, std::int64_t>> found) {
          if (!found && may_pass(found.error())) return self->begin_again_later(partitions, done);
          if (!found) {
            self->stop_at(partitions);
            return done(found.error());
          }
          for (const auto& [tp, offset] : *found) {
            if (!self->parts_.contains(tp)) continue;
            const std::int64_t committed = self->parts_[tp].committed;
            self->place(tp, offset);
            self->parts_[tp].committed = committed;
          }
          self->publish();
          self->refetch();
          done({});
        });
  };
  core->send<native::GroupOffsetsReply, native::GroupOffsetsReply>(
      std::move(request),
      [](native::GroupOffsetsReply r, Buffer) -> Outcome<native::GroupOffsetsReply> {
        return Outcome<native::GroupOffsetsReply>(std::move(r));
      },
      std::move(after));
}

void ConsumerCore::auto_commit_later() {
  core->loop->after(options_.auto_commit_interval, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->ended_) return;
    self->auto_commit(self->to_commit(true), /*final=*/false);
    self->auto_commit_later();
  });
}

void ConsumerCore::auto_commit(std::vector<GroupOffset> offsets, bool final) {
  commit(offsets, [self = shared_from_this(), offsets, final](Outcome<void> o) {
    if (o || self->ended_) return;
    const Action action = o.error().action();
    const bool repeated = action == Action::retry || action == Action::maybe_persisted;
    if (repeated && !final) return;
    if (self->options_.on_commit_error) return self->options_.on_commit_error(o.error(), offsets);
    self->fail(o.error());
  });
}

void ConsumerCore::close(Callback<void> done) {
  if (ended_) return done({});
  // Whoever closes wants the group to know: the partitions are free when this is answered.
  auto finish = [self = shared_from_this(), done](const Outcome<void>& committed) {
    self->abandon(
        [done, committed](Outcome<void> left) { done(committed ? std::move(left) : committed); });
  };
  if (!options_.auto_commit || options_.group.empty()) return finish({});
  commit(to_commit(true), std::move(finish));
}

void ConsumerCore::abandon(Callback<void> left) {
  if (ended_) return left({});
  leave(std::move(left));
  ended_ = true;
  ++fetch_id_;
  listener_.reset();
  core->loop->cancel(heart_timer_);
  parts_.clear();
  chunks_.clear();
  publish();
  if (!poll_) return;
  Poll poll = std::move(*poll_);
  poll_.reset();
  core->loop->cancel(poll.timer);
  poll.done(Failure(Errc::cancelled, "the consumer was closed"));
}

void ConsumerCore::leave(Callback<void> left) {
  // A join that is on its way is answered first, so this ends it, too.
  if (!is_member() && !heart_outstanding_) return left({});
  if (!core->connection->is_up())
    return left(Failure(Errc::disconnected, Action::retry,
                        "there is no connection to leave the group over; its partitions are free "
                        "when the session times out"));
  native::GroupHeartbeat beat;
  beat.group = options_.group;
  beat.member_id = member_id_;
  beat.instance_id = options_.instance_id;
  beat.member_epoch =
      options_.instance_id.empty() ? native::kEpochLeave : native::kEpochLeaveStatic;
  core->connection->request(
      std::move(beat), {}, core->options.request_timeout, [left = std::move(left)](Answer answer) {
        if (answer) return left({});
        const ErrorCode code = answer.error().error.code();
        // The group knows this member no more: it has left, too.
        if (code == ErrorCode::kUnknownMember || code == ErrorCode::kUnknownGroup) return left({});
        left(to_failure(answer.error()));
      });
}

}  // namespace runnel::client

namespace runnel {
namespace {
/// Runs `work(core, done)` on the loop.
template <class T, class F>
Pending<T> on_loop(const std::shared_ptr<client::ConsumerCore>& core, F work) {
  auto [pending, done] = detail::make_pending<T>();
  core->core->post(
      [core, work = std::move(work), done = done]() mutable {
        core->start();
        work(*core, std::move(done));
      },
      done);
  return std::move(pending);
}
using Core = client::ConsumerCore;
}  // namespace

Consumer Client::consumer(ConsumerOptions options) {
  auto core = std::make_shared<Core>(impl_->core, std::move(options));
  impl_->core->loop->post([core] { core->start(); });
  return Consumer(std::make_shared<Consumer::Impl>(impl_->keeper, std::move(core)));
}
Pending<Batch> Consumer::poll(std::chrono::milliseconds at_most) {
  return on_loop<Batch>(
      impl_->core, [at_most](Core& c, Callback<Batch> done) { c.poll(at_most, std::move(done)); });
}
Pending<void> Consumer::assign(std::vector<std::pair<TopicPartition, Position>> partitions) {
  return on_loop<void>(impl_->core,
                       [p = std::move(partitions)](Core& c, Callback<void> done) mutable {
                         c.assign(std::move(p), std::move(done));
                       });
}
Pending<void> Consumer::assign_committed(Partitions partitions) {
  return on_loop<void>(impl_->core,
                       [p = std::move(partitions)](Core& c, Callback<void> done) mutable {
                         c.assign_committed(std::move(p), std::move(done));
                       });
}
Pending<void> Consumer::seek(const TopicPartition& partition, Position to) {
  return on_loop<void>(impl_->core, [partition, to](Core& c, Callback<void> done) {
    c.seek(partition, to, std::move(done));
  });
}
void Consumer::pause(const Partitions& partitions) {
  impl_->core->core->loop->post([c = impl_->core, partitions] { c->set_paused(partitions, true); });
}
void Consumer::resume(const Partitions& partitions) {
  impl_->core->core->loop->post(
      [c = impl_->core, partitions] { c->set_paused(partitions, false); });
}
Pending<void> Consumer::commit() {
  return on_loop<void>(impl_->core,
                       [](Core& c, Callback<void> done) { c.commit_all(std::move(done)); });
}
Pending<void> Consumer::commit(std::vector<GroupOffset> offsets) {
  return on_loop<void>(impl_->core, [o = std::move(offsets)](Core& c, Callback<void> done) mutable {
    c.commit(std::move(o), std::move(done));
  });
}
Partitions Consumer::assignment() const {
  return impl_->core->assignment();
}
Partitions Consumer::paused() const {
  return impl_->core->paused();
}
std::int64_t Consumer::position(const TopicPartition& tp) const {
  return impl_->core->position(tp);
}
Consumer::Membership Consumer::membership() const {
  return impl_->core->membership();
}
Outcome<void> Consumer::close(std::chrono::milliseconds at_most) {
  auto closed = on_loop<void>(impl_->core, [](Core& c, Callback<void> done) {
                  c.close(std::move(done));
                }).get_for(at_most);
  impl_->core->core->loop->post([c = impl_->core] { c->abandon(); });
  return closed;
}

}  // namespace runnel
