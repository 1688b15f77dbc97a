// Reading records: with a group, or with partitions of one's own choice; pulled or pushed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runnel/pending.h"
#include "runnel/types.h"

namespace runnel {

/// A place to read from.
struct Position {
  enum class Kind : std::uint8_t { offset, earliest, latest, time };
  Kind kind = Kind::earliest;
  std::int64_t offset = 0;  ///< for Kind::offset
  Time time{};              ///< for Kind::time: the first record at or after it, else the end
  [[nodiscard]] static Position at(std::int64_t offset) { return {Kind::offset, offset, {}}; }
  [[nodiscard]] static Position earliest() { return {Kind::earliest, 0, {}}; }
  [[nodiscard]] static Position latest() { return {Kind::latest, 0, {}}; }
  [[nodiscard]] static Position since(Time time) { return {Kind::time, 0, time}; }
};

/// Where to go when nothing is committed or the wanted offset no longer exists.
enum class Reset : std::uint8_t {
  earliest,
  latest,
  fail,  ///< poll() answers Errc::offset_out_of_range or, with nothing committed, Errc::not_found
};

using Partitions = std::vector<TopicPartition>;

struct ConsumerOptions {
  /// With `topics`: a member of this group, partitions are assigned by the broker. Without: only
  /// the name that commit() uses; say what to read with assign().
  std::string group;
  std::vector<std::string> topics;
  std::string instance_id;  ///< static membership: keeps its partitions over a restart
  std::string assignor;     ///< "range" or "uniform"; empty: uniform
  std::chrono::milliseconds session_timeout{45'000};

  Reset reset = Reset::earliest;
  /// Commits, every `auto_commit_interval`, when partitions are taken away and at close(), what
  /// had been returned before the latest call of poll(). What fails for the moment is repeated at
  /// the next interval; what cannot be repeated goes to `on_commit_error` or, without one, is what
  /// the next poll() answers. close() answers its own.
  bool auto_commit = false;
  std::chrono::milliseconds auto_commit_interval{5'000};

  std::size_t max_records = 10'000;          ///< of one poll()
  std::uint32_t fetch_bytes = 8u << 20;      ///< fetched ahead, at most, all partitions together
  std::uint32_t partition_bytes = 1u << 20;  ///< of one partition in one fetch
  std::uint32_t min_bytes = 1;
  std::chrono::milliseconds fetch_wait{500};  ///< how long the broker may wait for min_bytes
  bool report_ends = false;  ///< poll() also returns when a partition's end is reached

  /// Conditions on records that the broker applies; all of them have to hold: "key=K", "key~REGEX",
  /// "header.NAME=V", ".json.path>=12.5", with = != ~ < <= > >=. At most 16 of 4096 bytes together.
  /// Positions move on where nothing passes. One that is no condition is what poll() answers,
  /// Errc::invalid_argument; Errc::unsupported: the broker is older than filters.
  std::vector<std::string> filter;

  /// Group changes; called on the I/O thread, must not block. Revocation happens only between
  /// polls: after the call of poll() that says the records returned before it are dealt with.
  std::function<void(const Partitions&)> on_assigned;
  std::function<void(const Partitions&)> on_revoked;
  /// Taken away without asking (the session timed out); commits for them will be refused.
  std::function<void(const Partitions&)> on_lost;
  /// An auto-commit failed for good: these positions are not committed, so whoever has the
  /// partitions next begins before them.
  std::function<void(const Failure&, const std::vector<GroupOffset>&)> on_commit_error;
};

/// Thread safe, though poll() is meant for one thread. A cheap handle: copies are the same
/// consumer. Heartbeats are sent by the client's I/O thread, so slow work between polls does not
/// end the membership. Destroying the last handle leaves the group without waiting and commits
/// nothing.
class RUNNEL_API Consumer {
 public:
  /// Records of the assigned, not paused partitions; empty after `at_most`. One at a time.
  /// Errors: of the reset policy, Errc::unknown_topic, Errc::fenced, Errc::corrupt (the partition
  /// is paused so that the others go on). A lost connection is not an error: poll() goes on when
  /// it is back.
  Pending<Batch> poll(std::chrono::milliseconds at_most);

  /// Reads these partitions from these positions, instead of what was read before. Not for
  /// consumers with `topics`. Errors as list_offsets.
  Pending<void> assign(std::vector<std::pair<TopicPartition, Position>> partitions);
  /// As assign(), from what the group has committed, or from the reset policy.
  Pending<void> assign_committed(Partitions partitions);
  /// Continues an assigned partition elsewhere. Errc::not_found if it is not assigned.
  Pending<void> seek(const TopicPartition& partition, Position to);
  void pause(const Partitions& partitions);
  void resume(const Partitions& partitions);

  /// Commits the position behind every record that poll() has returned.
  Pending<void> commit();
  /// Commits these. Errc::stale_generation or Errc::unknown_member if the group has moved on.
  Pending<void> commit(std::vector<GroupOffset> offsets);

  [[nodiscard]] Partitions assignment() const;
  /// Those that pause() or an error has stopped, as of the latest outcome of poll().
  [[nodiscard]] Partitions paused() const;
  /// Offset of the next record poll() would return; kNoPosition if not assigned or not known yet.
  [[nodiscard]] std::int64_t position(const TopicPartition& partition) const;
  /// What a transaction needs to commit offsets as this member.
  struct Membership {
    std::string group;
    std::string member_id;
    std::int32_t member_epoch = -1;
  };
  [[nodiscard]] Membership membership() const;

  /// Auto-commits, leaves the group, ends. Errc::timeout after `at_most`; it is closed then, too.
  Outcome<void> close(std::chrono::milliseconds at_most = std::chrono::seconds(10));

  struct Impl;
  explicit Consumer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

struct SubscribeOptions {
  std::vector<std::pair<TopicPartition, Position>> partitions;
  std::uint64_t credit_bytes = 4u << 20;     ///< most the broker sends ahead of the callback
  std::uint32_t partition_bytes = 1u << 20;  ///< of one partition in one delivery
};

/// Records pushed to a callback as they become durable. The subscription is renewed, without gap or
/// repeat, when the connection was lost. Destroying the last handle ends it.
class RUNNEL_API Subscription {
 public:
  Subscription() = default;
  /// No call of the callback begins after stop() returns, except when stop() is called by it.
  void stop();

  struct Impl;
  explicit Subscription(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace runnel
