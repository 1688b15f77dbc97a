#include "tools/replay/session.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <random>
#include <sstream>

#include "tools/cli.h"

namespace runnel::tools {
namespace {

constexpr int kVersion = 1;

/// Greater than those of earlier runs as far as the clocks go, and of its own: of two runs that
/// begin in the same moment one is greater.
std::uint64_t new_token() {
  constexpr int kRandomBits = 20;
  std::random_device random;
  return static_cast<std::uint64_t>(now_millis()) << kRandomBits |
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

ReplaySession::ReplaySession(Client& client, std::string name, std::string_view plan)
    : client_(client), name_(std::move(name)), plan_hash_(hash_of(plan)), token_(new_token()) {}

std::string ReplaySession::metadata(const Span& span) const {
  return std::to_string(kVersion) + ' ' + plan_hash_ + ' ' + std::to_string(*span.to) + ' ' +
         std::to_string(token_);
}

Status ReplaySession::take_up(const std::vector<GroupOffset>& offsets) {
  for (const GroupOffset& offset : offsets) {
    const auto metadata = parse_metadata(offset.metadata);
    if (!metadata) {
      return fail(ErrorCode::kInvalidArgument,
                  "group " + group() +
                      " holds offsets that no replay of this version has "
                      "written; choose another --name");
    }
    if (metadata->plan != plan_hash_) {
      return fail(
          ErrorCode::kInvalidArgument,
          "replay " + name_ +
              " was begun with another topic, range, --where or --into; give the same to go "
              "on, or choose another --name (`runnel group delete " +
              group() + "` forgets it)");
    }
    left_[offset.target] = {offset.target, offset.offset, std::max(metadata->end, offset.offset)};
  }
  resumed_ = true;
  return {};
}

Result<std::vector<GroupOffset>> ReplaySession::committed() const {
  auto known = settle(client_.admin().group_offsets(group()).get());
  if (!known && known.error().code() == ErrorCode::kUnknownGroup) {
    return std::vector<GroupOffset>();
  }
  return known;
}

Status ReplaySession::open(std::vector<Span> fresh) {
  std::vector<GroupOffset> offsets;
  if (has_name()) {
    RUNNEL_TRY_ASSIGN(offsets, committed());
    for (const GroupOffset& offset : offsets) {
      if (const auto metadata = parse_metadata(offset.metadata)) {
        token_ = std::max(token_, metadata->token + 1);
      }
    }
    // An earlier run ends here; only then is it certain how far it came.
    Transaction takeover;
    takeover.commit_offsets({group(), "", -1}, {}).fence(group(), token_);
    RUNNEL_TRY(settle(client_.commit(takeover).get()));
    RUNNEL_TRY_ASSIGN(offsets, committed());
  }
  if (!offsets.empty()) {
    RUNNEL_TRY(take_up(offsets));
  } else {
    for (Span& span : fresh) {
      span.to = std::max(*span.to, span.from);
      left_.emplace(span.target, span);
    }
  }
  for (const auto& [target, span] : left_) {
    total_ += static_cast<std::uint64_t>(*span.to - span.from);
    passed_[target] = span.from;
  }
  if (!has_name() || passed_.empty()) return {};
  return commit();
}

void ReplaySession::pass(const TopicPartition& target, std::int64_t next) {
  passed_[target] = next;
  left_.at(target).from = next;
}

Status ReplaySession::commit(Transaction with) {
  if (has_name() && !passed_.empty()) {
    std::vector<GroupOffset> offsets;
    for (const auto& [target, next] : passed_) {
      GroupOffset offset;
      offset.target = target;
      offset.offset = next;
      offset.metadata = metadata(left_.at(target));
      offsets.push_back(std::move(offset));
    }
    with.commit_offsets({group(), "", -1}, std::move(offsets));
    with.fence(group(), token_);
  }
  passed_.clear();
  const auto done = settle(client_.commit(with).get());
  if (done) return {};
  if (done.error().code() != ErrorCode::kFenced) return fail(done.error());
  return fail(ErrorCode::kFenced,
              "another run of replay " + name_ + " was started; this one has ended");
}

}  // namespace runnel::tools
