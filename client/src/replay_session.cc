#include "client/src/replay_session.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <random>
#include <sstream>
#include <utility>

namespace runnel::client {
namespace {

constexpr int kVersion = 1;

/// Greater than those of earlier runs as far as the clocks go, and of its own: of two runs that
/// begin in the same moment one is greater.
std::uint64_t new_token() {
  constexpr int kRandomBits = 20;
  std::random_device random;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return static_cast<std::uint64_t>(now.count()) << kRandomBits |
         (random() & ((1u << kRandomBits) - 1));
}

/// What take_up() reads.
struct Metadata {
  int version = 0;
  std::string plan;
  std::int64_t end = 0;
  std::uint64_t token = 0;
};
std::optional<Metadata> parse_metadata(const std::string& text) {
  std::istringstream words(text);
  Metadata out;
  if (!(words >> out.version >> out.plan >> out.end >> out.token)) return std::nullopt;
  if (out.version != kVersion) return std::nullopt;
  return out;
}

std::string hash_of(std::string_view plan) {
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(plan.data(), plan.size())));
  return hex.data();
}

}  // namespace

ReplaySession::ReplaySession(Client client, std::string name, std::string_view plan)
    : client_(std::move(client)),
      name_(std::move(name)),
      plan_hash_(hash_of(plan)),
      token_(new_token()) {}

std::string ReplaySession::metadata(const ReplayRange& range) const {
  return std::to_string(kVersion) + ' ' + plan_hash_ + ' ' + std::to_string(range.to) + ' ' +
         std::to_string(token_);
}

Outcome<void> ReplaySession::take_up(const std::vector<GroupOffset>& offsets) {
  for (const GroupOffset& offset : offsets) {
    const auto metadata = parse_metadata(offset.metadata);
    if (!metadata) {
      return Failure(Errc::invalid_argument,
                     "group " + group() +
                         " holds offsets that no replay of this version has written; choose "
                         "another name");
    }
    if (metadata->plan != plan_hash_) {
      return Failure(Errc::invalid_argument,
                     "replay " + name_ +
                         " was begun with another topic, range, filter or target; give the same to "
                         "go on, or choose another name (`runnel group delete " +
                         group() + "` forgets it)");
    }
    left_[offset.target] = {offset.target, offset.offset, std::max(metadata->end, offset.offset)};
  }
  resumed_ = true;
  return {};
}

Outcome<std::vector<GroupOffset>> ReplaySession::committed() {
  auto known = client_.admin().group_offsets(group()).get();
  if (!known && known.error().errc() == Errc::unknown_group) return std::vector<GroupOffset>();
  return known;
}

Outcome<std::vector<GroupOffset>> ReplaySession::take_over() {
  const auto offsets = committed();
  if (!offsets) return offsets.error();
  for (const GroupOffset& offset : *offsets) {
    if (const auto metadata = parse_metadata(offset.metadata)) {
      token_ = std::max(token_, metadata->token + 1);
    }
  }
  // An earlier run ends here; only then is it certain how far it came.
  Transaction takeover;
  takeover.commit_offsets({group(), "", -1}, {}).fence(group(), token_);
  if (const auto done = client_.commit(takeover).get(); !done) return done.error();
  return committed();
}

Outcome<void> ReplaySession::open(const std::vector<ReplayRange>& fresh) {
  std::vector<GroupOffset> offsets;
  if (has_name()) {
    auto known = take_over();
    if (!known) return known.error();
    offsets = *std::move(known);
  }
  if (!offsets.empty()) {
    if (auto taken = take_up(offsets); !taken) return taken;
  } else {
    for (const ReplayRange& range : fresh) {
      left_[range.source] = {range.source, range.from, std::max(range.from, range.to)};
    }
  }
  for (const auto& [target, range] : left_) {
    total_ += static_cast<std::uint64_t>(range.to - range.from);
    passed_[target] = range.from;
    kept_[target] = range.from;
  }
  if (!behind()) return {};
  return commit();
}

void ReplaySession::pass(const TopicPartition& target, std::int64_t next) {
  passed_[target] = next;
  left_.at(target).from = next;
}

Outcome<void> ReplaySession::commit(Transaction with) {
  if (failure_) return *failure_;
  if (behind()) {
    std::vector<GroupOffset> offsets;
    for (const auto& [target, next] : passed_) {
      offsets.push_back({target, next, metadata(left_.at(target)), std::nullopt});
    }
    with.commit_offsets({group(), "", -1}, std::move(offsets));
    with.fence(group(), token_);
  }
  const auto passed = std::exchange(passed_, {});
  const auto done = client_.commit(with).get();
  if (done) {
    for (const auto& [target, next] : passed) kept_[target] = next;
    return {};
  }
  for (const auto& [target, next] : passed) left_.at(target).from = kept_.at(target);
  failure_ = done.error().errc() == Errc::fenced
                 ? Failure(Errc::fenced,
                           "another run of replay " + name_ + " was started; this one has ended")
                 : done.error();
  return *failure_;
}

}  // namespace runnel::client
