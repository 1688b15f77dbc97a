#include "broker/hooks/deliveries.h"

#include <xxhash.h>

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::broker::hooks {
namespace {

std::size_t kept_bytes(const Progress& known) {
  return (known.done.size() + known.failed.size()) * Deliveries::kPlaceBytes;
}

}  // namespace

Deliveries::KeyHash Deliveries::hash_of(std::string_view key) const {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(key.data(), key.size(), seed_);
  return {hash.high64, hash.low64};
}

void Deliveries::begin(std::int32_t partition, Progress progress) {
  for (auto at = records_.lower_bound({partition, Offset(0)});
       at != records_.end() && at->first.partition == partition;) {
    if (at->second.ticket != 0) land(at->second);
    bytes_ -= at->second.body.size() + kRecordBytes;
    due_.erase({at->second.due, at->first});
    if (at->second.key) {
      const auto key = keys_.find(*at->second.key);
      std::erase(key->second, at->first);
      if (key->second.empty()) keys_.erase(key);
    }
    at = records_.erase(at);
  }
  // Other partitions may have had a record behind one of these.
  for (const auto& [key, places] : keys_) {
    const Record& head = records_.at(places.front());
    if (head.ticket == 0 && head.attempts < policy_.max_attempts) {
      due_.insert({head.due, places.front()});
    }
  }
  if (const auto before = partitions_.find(partition); before != partitions_.end()) {
    bytes_ -= kept_bytes(before->second.known);
  }
  bytes_ += kept_bytes(progress);
  const Offset next = progress.next;
  partitions_[partition] = {std::move(progress), next};
}

Progress Deliveries::progress(std::int32_t partition) const {
  Progress out = partitions_.at(partition).known;
  for (auto at = records_.lower_bound({partition, Offset(0)});
       at != records_.end() && at->first.partition == partition; ++at) {
    if (at->second.attempts > 0) out.failed[at->first.offset] = at->second.attempts;
  }
  return out;
}

Progress Deliveries::progress_without(RecordPlace place) const {
  Progress out = progress(place.partition);
  out.failed.erase(place.offset);
  out.done.insert(place.offset);
  return out;
}

std::size_t Deliveries::room(std::int32_t partition) const {
  const Partition& of = partitions_.at(partition);
  const auto ahead = static_cast<std::size_t>(of.read - of.known.next);
  return ahead < limits_.ahead ? limits_.ahead - ahead : 0;
}

bool Deliveries::has_room(std::int32_t partition) const {
  return room(partition) > 0 && (records_.empty() || bytes_ < limits_.bytes);
}

Offset Deliveries::read_from(std::int32_t partition) const {
  return partitions_.at(partition).read;
}

void Deliveries::add(RecordPlace place, std::optional<std::string_view> key, std::string body,
                     Time now) {
  Partition& of = partitions_.at(place.partition);
  RUNNEL_ASSERT(place.offset >= of.read);
  of.read = place.offset + 1;
  if (of.known.done.contains(place.offset)) return settle(place.partition);
  Record record;
  record.body = std::move(body);
  record.due = now;
  if (const auto before = of.known.failed.find(place.offset); before != of.known.failed.end()) {
    // One that was to be buried when the broker went has a last attempt.
    record.attempts = std::min(before->second, policy_.max_attempts - 1);
    of.known.failed.erase(before);
    bytes_ -= kPlaceBytes;
  }
  bytes_ += record.body.size() + kRecordBytes;
  bool first = true;
  if (key) {
    record.key = hash_of(*key);
    auto& places = keys_[*record.key];
    first = places.empty();
    places.push_back(place);
  }
  if (first) due_.insert({record.due, place});
  records_.emplace(place, std::move(record));
  settle(place.partition);
}

void Deliveries::read_to(std::int32_t partition, Offset next) {
  Partition& of = partitions_.at(partition);
  of.read = std::max(of.read, next);
  settle(partition);
}

void Deliveries::lose_before(std::int32_t partition, Offset start) {
  Partition& of = partitions_.at(partition);
  if (start <= of.read) return;
  of.known.lost += static_cast<std::uint64_t>(start - of.read);
  of.read = start;
  settle(partition);
}

std::optional<Deliveries::Sending> Deliveries::next(Time now) {
  if (due_.empty() || in_flight_ >= limits_.in_flight || due_.begin()->first > now) {
    return std::nullopt;
  }
  const RecordPlace place = due_.begin()->second;
  due_.erase(due_.begin());
  Record& record = records_.at(place);
  record.ticket = ++last_ticket_;
  ++in_flight_;
  bytes_ += record.body.size();
  return Sending{place, record.ticket, record.attempts + 1, &record.body};
}

std::optional<Deliveries::Time> Deliveries::next_due() const {
  if (due_.empty() || in_flight_ >= limits_.in_flight) return std::nullopt;
  return due_.begin()->first;
}

void Deliveries::delivered(RecordPlace place, std::uint64_t ticket) {
  const auto record = find_attempt(place, ticket);
  if (record == records_.end()) return;
  land(record->second);
  finish(record);
}

bool Deliveries::failed(RecordPlace place, std::uint64_t ticket, Time now,
                        std::chrono::milliseconds wait) {
  const auto at = find_attempt(place, ticket);
  if (at == records_.end()) return false;
  Record& record = at->second;
  land(record);
  if (++record.attempts >= policy_.max_attempts) return true;
  record.due = now + std::max<Time>(delay_of(record.attempts), std::min(wait, policy_.most));
  due_.insert({record.due, place});
  return false;
}

void Deliveries::postponed(RecordPlace place, std::uint64_t ticket, Time due) {
  const auto at = find_attempt(place, ticket);
  if (at == records_.end()) return;
  land(at->second);
  at->second.due = due;
  due_.insert({due, place});
}

void Deliveries::buried(RecordPlace place) {
  const auto record = records_.find(place);
  if (record == records_.end() || record->second.attempts < policy_.max_attempts) return;
  finish(record);
}

Deliveries::Time Deliveries::delay_of(std::uint32_t attempts) {
  constexpr std::uint32_t kMostDoublings = 40;
  std::chrono::milliseconds delay = policy_.first;
  for (std::uint32_t n = 1; n < std::min(attempts, kMostDoublings) && delay < policy_.most; ++n) {
    delay *= 2;
  }
  delay = std::min(delay, policy_.most);
  const auto half = static_cast<std::uint64_t>(delay.count()) / 2;
  return std::chrono::milliseconds(static_cast<std::int64_t>(
      static_cast<std::uint64_t>(delay.count()) - half + random_.next() % (half + 1)));
}

Deliveries::Records::iterator Deliveries::find_attempt(RecordPlace place, std::uint64_t ticket) {
  const auto at = records_.find(place);
  return at != records_.end() && at->second.ticket == ticket && ticket != 0 ? at : records_.end();
}

/// Its attempt is over.
void Deliveries::land(Record& record) {
  record.ticket = 0;
  --in_flight_;
  bytes_ -= record.body.size();
}

/// It is done: its key goes on.
void Deliveries::finish(Records::iterator record) {
  const RecordPlace place = record->first;
  bytes_ -= record->second.body.size() + kRecordBytes;
  if (record->second.key) {
    const auto key = keys_.find(*record->second.key);
    key->second.pop_front();
    if (key->second.empty()) {
      keys_.erase(key);
    } else {
      const RecordPlace follower = key->second.front();
      due_.insert({records_.at(follower).due, follower});
    }
  }
  records_.erase(record);
  partitions_.at(place.partition).known.done.insert(place.offset);
  bytes_ += kPlaceBytes;
  settle(place.partition);
}

Offset Deliveries::first_undone(std::int32_t partition) const {
  const auto at = records_.lower_bound({partition, Offset(0)});
  const bool one_waits = at != records_.end() && at->first.partition == partition;
  return one_waits ? at->first.offset : partitions_.at(partition).read;
}

/// Moves `next` over what is done.
void Deliveries::settle(std::int32_t partition) {
  Progress& known = partitions_.at(partition).known;
  bytes_ -= kept_bytes(known);
  known.next = std::max(known.next, first_undone(partition));
  known.done.erase(known.done.begin(), known.done.lower_bound(known.next));
  known.failed.erase(known.failed.begin(), known.failed.lower_bound(known.next));
  bytes_ += kept_bytes(known);
}

}  // namespace runnel::broker::hooks
