// A named replay and how far it has come. The broker keeps that as the committed offsets of a group
// of its own, so that they can be committed together with the records that the replay writes.
//
//   group     runnel-replay.NAME
//   offset    of each source partition: the next one to replay
//   metadata  "1 PLAN END TOKEN": the version, a hash of what is replayed and where to, in hex, the
//             offset that the replay ends before, and the fencing token of the run that wrote it
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/client.h"

namespace runnel::client {

inline constexpr std::string_view kReplayGroupPrefix = "runnel-replay.";

/// Not thread safe. Waits for the broker.
class ReplaySession {
 public:
  /// Without a name nothing is kept, and commits write records only. `plan`: what must be the same
  /// when the session goes on.
  ReplaySession(Client client, std::string name, std::string_view plan);

  /// Goes on where the session of this name was, or begins with `fresh`. Whoever has it open
  /// elsewhere can commit no more. Errc::invalid_argument: it was begun with another plan.
  [[nodiscard]] Outcome<void> open(const std::vector<ReplayRange>& fresh);
  /// What is left of each partition.
  [[nodiscard]] const std::map<TopicPartition, ReplayRange>& left() const noexcept { return left_; }
  /// Offsets that were left when the session was opened.
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }
  [[nodiscard]] bool has_name() const noexcept { return !name_.empty(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// `target` has been replayed up to `next`; kept with the next commit.
  void pass(const TopicPartition& target, std::int64_t next);
  /// Commits what was passed together with the records of `with`, in one write. Errc::fenced:
  /// another run has the session now. After any failure the session has ended: nobody here knows
  /// whether the write happened, and left() is what was left before it.
  [[nodiscard]] Outcome<void> commit(Transaction with = {});
  /// What ended it.
  [[nodiscard]] const std::optional<Failure>& failure() const noexcept { return failure_; }
  /// There is something to keep.
  [[nodiscard]] bool behind() const noexcept { return has_name() && !passed_.empty(); }

 private:
  [[nodiscard]] std::string group() const { return std::string(kReplayGroupPrefix) + name_; }
  [[nodiscard]] std::string metadata(const ReplayRange& range) const;
  [[nodiscard]] Outcome<std::vector<GroupOffset>> committed();
  [[nodiscard]] Outcome<void> take_up(const std::vector<GroupOffset>& offsets);
  [[nodiscard]] Outcome<std::vector<GroupOffset>> take_over();

  Client client_;
  const std::string name_;
  const std::string plan_hash_;
  std::uint64_t token_;
  std::map<TopicPartition, ReplayRange> left_;
  std::map<TopicPartition, std::int64_t> passed_;  ///< since the last commit
  std::map<TopicPartition, std::int64_t> kept_;    ///< by the last commit of each
  std::optional<Failure> failure_;
  std::uint64_t total_ = 0;
  bool resumed_ = false;
};

}  // namespace runnel::client
