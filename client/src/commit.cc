// One transaction: grouped by partition, sent as one Append, repeated safely.
#include <algorithm>

#include "client/src/core.h"
#include "client/src/views.h"

namespace runnel::client {
namespace {

constexpr Milliseconds kPause{50};

class Commit : public std::enable_shared_from_this<Commit> {
 public:
  Commit(std::shared_ptr<Core> core, Transaction::Impl what, Callback<Committed> done)
      : core_(std::move(core)), what_(std::move(what)), done_(std::move(done)) {}

  void run() {
    deadline_ = SteadyClock::now() + core_->options.request_timeout;
    place_ = core_->commits->enter();
    result_.deliveries.resize(what_.records.size());
    group();
  }

 private:
  struct Part {
    std::vector<std::size_t> records;  ///< places in what_.records
    bool keyed = false;
  };

  void group() {
    std::vector<std::string> unknown;
    for (const auto& r : what_.records) {
      if (!r.partition && !counts_.contains(r.topic)) unknown.push_back(r.topic);
    }
    if (!unknown.empty()) return load(std::move(unknown));
    for (std::size_t i = 0; i < what_.records.size(); ++i) {
      auto& r = what_.records[i];
      std::vector<Header> scratch;
      const Message view = r.view(scratch);
      const std::int32_t partition =
          r.partition ? *r.partition
                      : (view.key ? partition_for_key(*view.key, counts_[r.topic]) : 0);
      const TopicPartition tp{r.topic, partition};
      Part& part = parts_[tp];
      if (part.records.empty()) part.keyed = r.dedup.has_value();
      if (part.keyed != r.dedup.has_value())
        return finish(Failure(Errc::invalid_argument,
                              "give every record of " + tp.topic + "[" + std::to_string(partition) +
                                  "] in one transaction a dedup key, or none of them"));
      part.records.push_back(i);
      result_.deliveries[i].target = tp;
      result_.deliveries[i].timestamp = r.timestamp;
    }
    for (const auto& [tp, next] : what_.expected) {
      if (!parts_.contains(tp))
        return finish(Failure(Errc::invalid_argument, "expect_next needs a record for " + tp.topic +
                                                          "[" + std::to_string(tp.partition) +
                                                          "]"));
    }
    prepare();
  }

  void load(std::vector<std::string> names) {
    core_->send<native::TopicsReply, bool>(
        native::DescribeTopics{std::move(names)},
        [self = shared_from_this()](native::TopicsReply reply, Buffer) -> Outcome<bool> {
          for (const auto& t : reply.topics) {
            if (t.error != ErrorCode::kOk || t.partitions.empty())
              return Failure(Errc::unknown_topic, "topic \"" + t.name + "\" does not exist");
            self->counts_[t.name] = static_cast<std::int32_t>(t.partitions.size());
          }
          return true;
        },
        [self = shared_from_this()](Outcome<bool> o) {
          if (!o) return self->again_or(o.error(), [self] { self->group(); });
          for (const auto& r : self->what_.records) {
            if (!r.partition && !self->counts_.contains(r.topic))
              return self->finish(wrong_reply());
          }
          self->group();
        });
  }

  /// Nothing was written yet: what may work later is tried until the deadline.
  void again_or(const Failure& why, Loop::Task step) {
    const bool final = why.errc() == Errc::cancelled || why.action() == Action::permanent ||
                       why.action() == Action::refresh;
    if (final) return finish(why);
    if (SteadyClock::now() + kPause >= deadline_)
      return finish(Failure(why.errc(), Action::retry, why.message()));
    core_->loop->after(kPause, std::move(step));
  }

  void prepare() {
    const bool sequenced =
        std::any_of(parts_.begin(), parts_.end(), [](const auto& p) { return !p.second.keyed; });
    if (!sequenced || identity_.valid()) return depart();
    if (!core_->idle_identities.empty()) {
      identity_ = std::move(core_->idle_identities.back());
      core_->idle_identities.pop_back();
      return depart();
    }
    core_->send<native::InitProducerReply, bool>(
        native::InitProducer{},
        [self = shared_from_this()](native::InitProducerReply r, Buffer) -> Outcome<bool> {
          self->is_fresh_ = true;
          self->identity_.id = r.id;
          self->identity_.epoch = r.epoch;
          return true;
        },
        [self = shared_from_this()](Outcome<bool> o) {
          if (!o) return self->again_or(o.error(), [self] { self->prepare(); });
          self->depart();
        });
  }

  /// Commits are first sent in the order of their calls, whatever each had to ask before.
  void depart() {
    if (std::exchange(departed_, true)) return transmit();
    core_->commits->leave(place_, [self = shared_from_this()] {
      if (SteadyClock::now() < self->deadline_) return self->transmit();
      self->finish(Failure(Errc::timeout, Action::retry,
                           "not sent: an earlier commit of this client was not ready in time"));
    });
  }

  void finish(Outcome<Committed> outcome) {
    core_->commits->leave(place_, nullptr);
    done_(std::move(outcome));
  }

  void transmit() {
    native::Append append;
    append.groups = what_.groups;
    append.fences = what_.fences;
    append.durability = static_cast<native::Durability>(what_.durability);
    if (what_.applied) {
      append.applied = true;
      append.applied_timeout_ms = wire_millis(*what_.applied);
    }
    std::vector<Buffer> attachment;
    sent_.clear();
    for (auto& [tp, part] : parts_) {
      if (part.records.empty()) continue;
      native::AppendPartition p;
      p.target = to_wire(tp);
      protocol::BatchOptions o;
      o.codec = codec_of(what_.compression);
      if (!part.keyed) {
        o.producer_id = identity_.id;
        o.producer_epoch = identity_.epoch;
        o.base_sequence = identity_.next_sequence[tp];
      }
      protocol::BatchBuilder builder(o);
      for (std::size_t i = 0; i < part.records.size(); ++i) {
        const OwnedMessage& r = what_.records[part.records[i]];
        r.add_to(builder);
        if (!part.keyed) continue;
        p.dedup.push_back(*r.dedup);
        p.dedup.back().record_index = static_cast<std::int32_t>(i);
      }
      auto batch = builder.finish();
      if (!batch) return finish(to_failure(batch.error()));
      p.bytes = static_cast<std::uint32_t>(batch->size());
      if (auto e = what_.expected.find(tp); e != what_.expected.end())
        p.expected_next = Offset(e->second);
      attachment.push_back(std::move(*batch));
      append.partitions.push_back(std::move(p));
      sent_.push_back(tp);
    }
    const auto left = std::chrono::ceil<Milliseconds>(deadline_ - SteadyClock::now()) +
                      what_.applied.value_or(Milliseconds(0));
    core_->connection->request(
        std::move(append), std::move(attachment), std::max(left, Milliseconds(1)),
        [self = shared_from_this()](Answer a) { self->answered(std::move(a)); });
  }

  void answered(Answer answer) {
    if (!answer) return refused(answer.error());
    auto* reply = std::get_if<native::AppendReply>(&answer->response);
    if (reply == nullptr || reply->partitions.size() != sent_.size()) return finish(wrong_reply());
    bool any_duplicate = false;
    for (std::size_t p = 0; p < sent_.size(); ++p) {
      const auto& got = reply->partitions[p];
      const Part& part = parts_[sent_[p]];
      any_duplicate = any_duplicate || got.duplicate;
      for (std::size_t i = 0; i < part.records.size(); ++i) {
        Delivery& d = result_.deliveries[part.records[i]];
        d.offset = got.base_offset.value() + static_cast<std::int64_t>(i);
        if (part.keyed && got.duplicate && i < got.dedup_offsets.size())
          d.offset = got.dedup_offsets[i].value();
        if (part.keyed && got.duplicate && i < got.dedup_partitions.size())
          d.target.partition = got.dedup_partitions[i].value();
        d.duplicate = part.keyed && got.duplicate;
        if (got.append_time != kNoTimestamp) d.timestamp = from_wire(got.append_time);
      }
      if (!part.keyed) {
        std::int32_t& next = identity_.next_sequence[sent_[p]];
        next = sequence_after(next, part.records.size());
      }
    }
    // After a repeat the numbers the broker expects are not certain: that id is not used again.
    if (identity_.valid() && !any_duplicate && !doubtful_)
      core_->idle_identities.push_back(std::move(identity_));
    result_.durability = static_cast<Durability>(reply->durability);
    result_.applied = reply->applied;
    for (Delivery& d : result_.deliveries) {
      d.durability = result_.durability;
      d.applied = result_.applied;
    }
    finish(std::move(result_));
  }

  /// The broker does not know the identity as this client does: it was put back, or lost what was
  /// not on stable storage. Numbers go on under another one.
  [[nodiscard]] static bool lost_identity(ErrorCode code) {
    return code == ErrorCode::kOutOfOrderSequence || code == ErrorCode::kUnknownProducer ||
           code == ErrorCode::kInvalidProducerEpoch;
  }

  void refused(const Refusal& r) {
    if (r.error.code() == ErrorCode::kPartialDuplicate && !r.duplicates.empty())
      return drop_duplicates(r);
    doubtful_ = doubtful_ || r.maybe_done;
    if (identity_.valid() && lost_identity(r.error.code())) {
      const bool was_fresh = std::exchange(is_fresh_, false);
      identity_ = Identity{};
      if (!doubtful_ && !was_fresh && SteadyClock::now() + kPause < deadline_) return prepare();
    }
    const bool again = (r.maybe_done || r.action == ErrorAction::kRetry) &&
                       r.error.code() != ErrorCode::kCancelled &&
                       SteadyClock::now() + kPause < deadline_;
    if (again) {
      core_->loop->after(kPause, [self = shared_from_this()] { self->transmit(); });
      return;
    }
    if (identity_.valid() && !doubtful_) core_->idle_identities.push_back(std::move(identity_));
    Failure failure = to_failure(r);
    if (doubtful_ && r.error.code() != ErrorCode::kCancelled)
      failure = Failure(failure.errc(), Action::maybe_persisted,
                        failure.message() +
                            " (an earlier attempt's answer was lost: it may have "
                            "been written)");
    finish(std::move(failure));
  }

  void drop_duplicates(const Refusal& r) {
    std::map<TopicPartition, std::vector<std::size_t>> drop;
    for (const auto& d : r.duplicates) {
      if (d.partition >= sent_.size()) continue;
      const Part& part = parts_[sent_[d.partition]];
      if (!part.keyed || d.entry >= part.records.size()) continue;
      Delivery& delivery = result_.deliveries[part.records[d.entry]];
      delivery.offset = d.offset.value();
      if (d.at.value() >= 0) delivery.target.partition = d.at.value();
      delivery.duplicate = true;
      drop[sent_[d.partition]].push_back(part.records[d.entry]);
    }
    if (drop.empty()) return finish(Failure(Errc::malformed, "the broker named no duplicates"));
    for (const auto& [tp, gone] : drop) {
      std::erase_if(parts_[tp].records, [&](std::size_t i) {
        return std::find(gone.begin(), gone.end(), i) != gone.end();
      });
    }
    transmit();
  }

  const std::shared_ptr<Core> core_;
  Transaction::Impl what_;
  Callback<Committed> done_;
  Committed result_;
  std::map<std::string, std::int32_t> counts_;
  std::map<TopicPartition, Part> parts_;
  std::vector<TopicPartition> sent_;
  Identity identity_;
  Departures::Place place_ = 0;
  bool doubtful_ = false;
  bool is_fresh_ = false;  ///< the identity was made for this commit
  bool departed_ = false;  ///< it had its turn; what is sent again does not wait for others
  SteadyClock::time_point deadline_;
};

}  // namespace

Pending<Committed> run_commit(const std::shared_ptr<Core>& core, const Transaction& transaction) {
  auto [pending, done] = detail::make_pending<Committed>();
  auto commit = std::make_shared<Commit>(core, transaction.impl(), done);
  core->post([commit] { commit->run(); }, done);
  return std::move(pending);
}

}  // namespace runnel::client
