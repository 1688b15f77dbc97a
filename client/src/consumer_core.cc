#include "client/src/consumer_core.h"

#include <algorithm>

namespace runnel::client {
namespace {

/// Before asking again what failed for a moment.
constexpr Milliseconds kPause{100};

/// A partition's error that passes by itself, such as memory that is used up.
bool is_held_up(ErrorCode code) {
  return code != ErrorCode::kOk && code != ErrorCode::kOffsetOutOfRange &&
         Failure(static_cast<Errc>(code), "").action() == Action::retry;
}

}  // namespace

void resolve_positions(const std::shared_ptr<Core>& core, Places places,
                       Callback<std::map<TopicPartition, std::int64_t>> done) {
  auto out = std::make_shared<std::map<TopicPartition, std::int64_t>>();
  native::ListOffsets request;
  std::vector<TopicPartition> asked;
  Places late;
  for (const auto& [tp, p] : places) {
    if (p.kind == Position::Kind::offset) {
      (*out)[tp] = p.offset;
      continue;
    }
    auto kind = native::OffsetSpec::Kind::kEarliest;
    if (p.kind == Position::Kind::latest) kind = native::OffsetSpec::Kind::kLatest;
    if (p.kind == Position::Kind::time) kind = native::OffsetSpec::Kind::kTime;
    request.partitions.push_back({to_wire(tp), kind, Timestamp(p.time.time_since_epoch().count())});
    asked.push_back(tp);
  }
  if (asked.empty()) return done(std::move(*out));
  core->send<native::ListOffsetsReply, native::ListOffsetsReply>(
      std::move(request),
      [](native::ListOffsetsReply r, Buffer) -> Outcome<native::ListOffsetsReply> {
        return Outcome<native::ListOffsetsReply>(std::move(r));
      },
      [core, out, asked, done](Outcome<native::ListOffsetsReply> reply) {
        if (!reply) return done(reply.error());
        if (reply->partitions.size() != asked.size()) return done(wrong_reply());
        Places ends;
        for (std::size_t i = 0; i < asked.size(); ++i) {
          const auto& p = reply->partitions[i];
          if (p.error != ErrorCode::kOk)
            return done(Failure(static_cast<Errc>(p.error), p.error_message));
          // Every record is older: the end is the place.
          if (p.offset == kNoOffset) {
            ends.emplace_back(asked[i], Position::latest());
          } else {
            (*out)[asked[i]] = p.offset.value();
          }
        }
        if (ends.empty()) return done(std::move(*out));
        resolve_positions(core, std::move(ends),
                          [out, done](Outcome<std::map<TopicPartition, std::int64_t>> more) {
                            if (!more) return done(more.error());
                            out->merge(*more);
                            done(std::move(*out));
                          });
      });
}

ConsumerCore::ConsumerCore(std::shared_ptr<Core> c, ConsumerOptions options)
    : core(std::move(c)), options_(std::move(options)), member_id_(new_id()) {}

Consumer::Membership ConsumerCore::current_membership() const {
  if (!is_member()) return {options_.group, "", -1};
  return {options_.group, member_id_, epoch_};
}

void ConsumerCore::start() {
  if (started_ || ended_) return;
  started_ = true;
  const std::weak_ptr<ConsumerCore> weak = weak_from_this();
  listener_ = core->connection->listen({[weak] {
                                          if (const auto self = weak.lock()) self->refetch();
                                        },
                                        nullptr});
  publish();
  if (!options_.topics.empty()) heartbeat();
  if (options_.auto_commit) auto_commit_later();
}

void ConsumerCore::poll(Milliseconds at_most, Callback<Batch> done) {
  if (ended_) return done(Failure(Errc::cancelled, "the consumer is closed"));
  if (poll_)
    return done(Failure(Errc::invalid_argument, "another poll() of this consumer is waiting"));
  for (auto& [tp, part] : parts_) part.processed = part.position;
  handed_out_ = false;
  reconcile();
  poll_ = Poll{std::move(done), 0};
  answer_poll(false);
  if (!poll_) return;
  if (at_most.count() <= 0) return answer_poll(true);
  poll_->timer = core->loop->after(at_most, [self = shared_from_this()] {
    if (self->poll_) self->poll_->timer = 0;
    self->answer_poll(true);
  });
  fetch();
}

void ConsumerCore::answer_poll(bool even_empty) {
  if (!poll_) return;
  auto impl = std::make_shared<Batch::Impl>();
  while (!chunks_.empty() && impl->records.size() < options_.max_records) {
    Chunk& chunk = chunks_.front();
    Part& part = parts_.at(chunk.target);
    const std::size_t take =
        std::min(chunk.batch.size() - chunk.used, options_.max_records - impl->records.size());
    const auto from = chunk.batch.records().subspan(chunk.used, take);
    impl->records.insert(impl->records.end(), from.begin(), from.end());
    if (take > 0) impl->owners.push_back(std::make_shared<const Batch>(chunk.batch));
    chunk.used += take;
    if (take > 0) part.position = from.back().offset + 1;
    impl->unreadable += std::exchange(chunk.unreadable, 0);
    if (chunk.used < chunk.batch.size()) break;
    part.position = chunk.next;
    buffered_ -= chunk.bytes;
    chunks_.pop_front();
  }
  if (options_.report_ends) {
    for (auto& [tp, part] : parts_) {
      if (!part.end_seen || part.end_told || part.position != part.fetch_from) continue;
      part.end_told = true;
      impl->ends.push_back(tp);
    }
  }
  const bool nothing = impl->records.empty() && impl->ends.empty();
  if (nothing && !failure_ && !even_empty) return;
  Poll poll = std::move(*poll_);
  poll_.reset();
  core->loop->cancel(poll.timer);
  handed_out_ = !impl->records.empty();
  publish();
  fetch();
  if (nothing && failure_) return poll.done(*std::exchange(failure_, std::nullopt));
  poll.done(Batch(std::shared_ptr<const Batch::Impl>(std::move(impl))));
}

void ConsumerCore::fail(Failure failure) {
  if (!failure_) failure_ = std::move(failure);
  answer_poll(false);
}

void ConsumerCore::refetch() {
  ++fetch_id_;
  fetching_ = false;
  fetch();
}

void ConsumerCore::fetch() {
  if (ended_ || fetching_ || !core->connection->is_up()) return;
  if (buffered_ >= options_.fetch_bytes) return;
  native::Fetch request;
  bool all_at_end = true;
  std::size_t first = 0;  ///< place that is served first
  for (const auto& [tp, part] : parts_) {
    if (part.paused || part.resolving || part.fetch_from < 0) continue;
    request.partitions.push_back({to_wire(tp), Offset(part.fetch_from), options_.partition_bytes});
    all_at_end = all_at_end && part.end_seen;
    if (served_last_ && tp <= *served_last_) first = request.partitions.size();
  }
  if (request.partitions.empty()) return;
  std::rotate(request.partitions.begin(),
              request.partitions.begin() + static_cast<std::ptrdiff_t>(first),
              request.partitions.end());
  fetching_ = true;
  const std::uint64_t id = ++fetch_id_;
  request.max_bytes = options_.fetch_bytes;
  request.min_bytes = options_.min_bytes;
  request.filter = options_.filter;
  const Milliseconds wait = all_at_end ? options_.fetch_wait : Milliseconds(0);
  request.max_wait_ms = static_cast<std::uint32_t>(wait.count());
  core->connection->request(
      std::move(request), {}, core->options.request_timeout + wait,
      [self = shared_from_this(), id](Answer answer) { self->fetched(id, std::move(answer)); });
}

void ConsumerCore::fetched(std::uint64_t id, Answer answer) {
  if (ended_ || id != fetch_id_) return;
  fetching_ = false;
  if (!answer) {
    const Refusal& r = answer.error();
    if (!r.maybe_done && r.action == ErrorAction::kPermanent) fail(to_failure(r));
    return fetch_later();
  }
  auto* reply = std::get_if<native::FetchReply>(&answer->response);
  if (reply == nullptr) return fail(wrong_reply());
  const auto owner = std::make_shared<const Buffer>(answer->attachment);
  std::size_t at = 0;
  bool held_up = false;
  for (const auto& p : reply->partitions) {
    held_up = held_up || is_held_up(p.error);
    take(p, owner->bytes().subspan(at, p.bytes), owner);
    at += p.bytes;
  }
  // Who is short of something is not helped by being asked again at once.
  held_up ? fetch_later() : fetch();
  answer_poll(false);
}

void ConsumerCore::fetch_later() {
  fetching_ = true;
  const std::uint64_t id = ++fetch_id_;
  core->loop->after(kPause, [self = shared_from_this(), id] {
    if (id != self->fetch_id_) return;  // begun anew meanwhile
    self->fetching_ = false;
    self->fetch();
  });
}

void ConsumerCore::take(const native::FetchedPartition& p, Bytes bytes,
                        const std::shared_ptr<const Buffer>& owner) {
  const TopicPartition tp = from_wire(p.target);
  const auto found = parts_.find(tp);
  if (found == parts_.end()) return;
  Part& part = found->second;
  if (p.error != ErrorCode::kOk) {
    const Failure failure(static_cast<Errc>(p.error), p.error_message);
    if (p.error == ErrorCode::kOffsetOutOfRange) return out_of_range(tp, part, failure);
    if (failure.action() == Action::retry) return;
    part.paused = true;
    return fail(Failure(failure.errc(), failure.action(),
                        tp.topic + "[" + std::to_string(tp.partition) + "]: " + failure.message()));
  }
  const auto next = next_after(p, bytes, part);
  auto batch = next ? decode_batches(tp, bytes, owner, part.fetch_from, from_wire(p.aborted))
                    : Outcome<Batch>(next.error());
  if (!batch) {
    part.paused = true;
    return fail(batch.error());
  }
  if (*next > part.fetch_from) {
    part.fetch_from = *next;
    part.end_told = false;
    buffered_ += bytes.size();
    served_last_ = tp;
    chunks_.push_back(
        {tp, std::move(*batch), 0, bytes.size(), *next, p.high_watermark.value(), p.unreadable});
  }
  part.end_seen = part.fetch_from >= p.high_watermark.value();
}

Outcome<std::int64_t> ConsumerCore::next_after(const native::FetchedPartition& p, Bytes bytes,
                                               const Part& part) const {
  const std::string name = p.target.topic + "[" + std::to_string(p.target.partition.value()) + "]";
  if (!options_.filter.empty() && !p.filtered) {
    return Failure(Errc::unsupported, "the broker of " + name +
                                          " is of a version that has no filters; leave the filter "
                                          "away or upgrade the broker");
  }
  std::int64_t next = std::max(part.fetch_from, p.next.value());
  if (bytes.empty()) return next;
  const std::int64_t first = protocol::BatchView(bytes).base_offset().value();
  std::int64_t end = part.fetch_from;
  for (Bytes rest = bytes; !rest.empty();) {
    const protocol::BatchView view(rest);
    end = std::max(end, view.last_offset().value() + 1);
    rest = rest.subspan(view.total_bytes());
  }
  next = std::max(next, end);
  // Batches of another place or partition must not be taken for what was asked for.
  const bool says_next = p.next != kNoOffset;
  const bool elsewhere = says_next ? end > p.next.value() : first > part.fetch_from;
  if (elsewhere || end == part.fetch_from || next > p.high_watermark.value()) {
    return Failure(Errc::corrupt, name + " gave offsets " + std::to_string(first) + " to " +
                                      std::to_string(end - 1) + " for a fetch from " +
                                      std::to_string(part.fetch_from));
  }
  return next;
}

void ConsumerCore::out_of_range(const TopicPartition& tp, Part& part, const Failure& failure) {
  if (options_.reset == Reset::fail) {
    part.paused = true;
    return fail(failure);
  }
  part.resolving = true;
  const Position to = options_.reset == Reset::earliest ? Position::earliest() : Position::latest();
  seek(tp, to, [self = shared_from_this(), tp, failure](Outcome<void> o) {
    if (o) return;
    if (!may_pass(o.error())) {
      self->stop_at({tp});
      return self->fail(o.error());
    }
    self->core->loop->after(kPause, [self, tp, failure] {
      const auto found = self->parts_.find(tp);
      if (self->ended_ || found == self->parts_.end() || !found->second.resolving) return;
      self->out_of_range(tp, found->second, failure);
    });
  });
}

void ConsumerCore::stop_at(const Partitions& partitions) {
  for (const auto& tp : partitions) {
    const auto found = parts_.find(tp);
    if (found == parts_.end()) continue;
    found->second.resolving = false;
    found->second.paused = true;
  }
  publish();
}

void ConsumerCore::forget_chunks(const TopicPartition& tp) {
  std::erase_if(chunks_, [&](const Chunk& c) {
    if (c.target != tp) return false;
    buffered_ -= c.bytes;
    return true;
  });
}

void ConsumerCore::place(const TopicPartition& tp, std::int64_t offset) {
  forget_chunks(tp);
  Part& part = parts_[tp];
  part.position = part.fetch_from = part.processed = offset;
  part.resolving = part.end_seen = part.end_told = false;
}

void ConsumerCore::assign(Places places, Callback<void> done) {
  if (!options_.topics.empty())
    return done(Failure(Errc::invalid_argument,
                        "this consumer has topics: its group assigns the partitions"));
  resolve_positions(
      core, std::move(places),
      [self = shared_from_this(), done](Outcome<std::map<TopicPartition, std::int64_t>> found) {
        if (!found) return done(found.error());
        self->parts_.clear();
        self->chunks_.clear();
        self->buffered_ = 0;
        for (const auto& [tp, offset] : *found) self->place(tp, offset);
        self->publish();
        self->refetch();
        done({});
      });
}

void ConsumerCore::assign_committed(Partitions partitions, Callback<void> done) {
  if (!options_.topics.empty())
    return done(Failure(Errc::invalid_argument,
                        "this consumer has topics: its group assigns the partitions"));
  parts_.clear();
  chunks_.clear();
  buffered_ = 0;
  begin_at_committed(partitions, std::move(done));
}

void ConsumerCore::seek(const TopicPartition& tp, Position to, Callback<void> done) {
  if (!parts_.contains(tp))
    return done(Failure(Errc::not_found, tp.topic + "[" + std::to_string(tp.partition) +
                                             "] is not assigned to this consumer"));
  resolve_positions(
      core, {{tp, to}},
      [self = shared_from_this(), tp, done](Outcome<std::map<TopicPartition, std::int64_t>> found) {
        if (!found) return done(found.error());
        if (!self->parts_.contains(tp))
          return done(Failure(Errc::not_found, "the partition was taken away"));
        self->place(tp, found->at(tp));
        self->publish();
        self->refetch();
        done({});
      });
}

void ConsumerCore::set_paused(const Partitions& partitions, bool paused) {
  for (const auto& tp : partitions) {
    const auto found = parts_.find(tp);
    if (found == parts_.end() || found->second.paused == paused) continue;
    found->second.paused = paused;
    if (!paused) continue;
    forget_chunks(tp);  // fetched again after resume()
    found->second.fetch_from = found->second.position;
    found->second.end_seen = false;
  }
  refetch();
}

std::vector<GroupOffset> ConsumerCore::to_commit(bool processed_only) const {
  std::vector<GroupOffset> out;
  for (const auto& [tp, part] : parts_) {
    const std::int64_t offset = processed_only ? part.processed : part.position;
    if (offset >= 0 && offset != part.committed) out.push_back({tp, offset, "", std::nullopt});
  }
  return out;
}

void ConsumerCore::commit_all(Callback<void> done) {
  commit(to_commit(false), std::move(done));
}

void ConsumerCore::commit(std::vector<GroupOffset> offsets, Callback<void> done) {
  if (options_.group.empty())
    return done(Failure(Errc::invalid_argument, "commit() needs ConsumerOptions::group"));
  if (offsets.empty()) return done({});
  const auto as = current_membership();
  native::GroupOffsets group{as.group, as.member_id, as.member_epoch, {}};
  for (const auto& o : offsets)
    group.offsets.push_back({to_wire(o.target), Offset(o.offset), LeaderEpoch(-1), o.metadata});
  native::Append append;
  append.groups.push_back(std::move(group));
  core->send<native::AppendReply, void>(
      std::move(append), [](native::AppendReply, Buffer) -> Outcome<void> { return {}; },
      [self = shared_from_this(), offsets = std::move(offsets), done](Outcome<void> o) {
        if (o) {
          for (const auto& c : offsets) {
            if (auto it = self->parts_.find(c.target); it != self->parts_.end())
              it->second.committed = c.offset;
          }
        }
        done(std::move(o));
      });
}

void ConsumerCore::publish() {
  MutexLock lock(mutex_);
  shown_.clear();
  shown_paused_.clear();
  for (const auto& [tp, part] : parts_) {
    shown_[tp] = part.position;
    if (part.paused) shown_paused_.push_back(tp);
  }
  shown_member_ = current_membership();
}

Partitions ConsumerCore::assignment() const {
  MutexLock lock(mutex_);
  Partitions out;
  for (const auto& [tp, offset] : shown_) out.push_back(tp);
  return out;
}
Partitions ConsumerCore::paused() const {
  MutexLock lock(mutex_);
  return shown_paused_;
}
std::int64_t ConsumerCore::position(const TopicPartition& tp) const {
  MutexLock lock(mutex_);
  const auto found = shown_.find(tp);
  return found == shown_.end() ? kNoPosition : found->second;
}
Consumer::Membership ConsumerCore::membership() const {
  MutexLock lock(mutex_);
  return shown_member_;
}

}  // namespace runnel::client
