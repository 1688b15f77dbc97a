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
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "runnel/client.h"
#include "tools/places.h"

namespace runnel::tools {

inline constexpr std::string_view kReplayGroupPrefix = "runnel-replay.";

/// Not thread safe.
class ReplaySession {
 public:
  /// Without a name: nothing is kept, commits do nothing. `plan`: what must be the same when the
  /// session goes on.
  ReplaySession(Client& client, std::string name, std::string_view plan);

  /// Goes on where the session of this name was, or begins with `fresh`. Whoever has it open
  /// elsewhere can commit no more. kInvalidArgument: it was begun with another plan.
  [[nodiscard]] Status open(std::vector<Span> fresh);
  /// What is left of each partition; `to` is set.
  [[nodiscard]] const std::map<TopicPartition, Span>& left() const noexcept { return left_; }
  /// Offsets that were left when the session was opened.
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }
  [[nodiscard]] bool has_name() const noexcept { return !name_.empty(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// `target` has been replayed up to `next`; kept with the next commit.
  void pass(const TopicPartition& target, std::int64_t next);
  /// Commits what was passed together with the records of `with`, in one write. kFenced: another
  /// run has the session now.
  [[nodiscard]] Status commit(Transaction with = {});
  /// There is something to commit.
  [[nodiscard]] bool behind() const noexcept { return !passed_.empty(); }

 private:
  [[nodiscard]] std::string group() const { return std::string(kReplayGroupPrefix) + name_; }
  [[nodiscard]] std::string metadata(const Span& span) const;
  [[nodiscard]] Result<std::vector<GroupOffset>> committed() const;
  [[nodiscard]] Status take_up(const std::vector<GroupOffset>& offsets);

  Client& client_;
  const std::string name_;
  const std::string plan_hash_;
  std::uint64_t token_;
  std::map<TopicPartition, Span> left_;
  std::map<TopicPartition, std::int64_t> passed_;
  std::uint64_t total_ = 0;
  bool resumed_ = false;
};

}  // namespace runnel::tools
