// The stored form of a classic group; the table is at the top of classic_group.h.
#include <algorithm>

#include "broker/groups/classic_group.h"
#include "protocol/base/assert.h"
#include "protocol/base/bytes.h"

namespace runnel::broker {
namespace {

constexpr std::uint8_t kHasProtocolType = 0x01;
constexpr std::uint8_t kHasProtocol = 0x02;
constexpr std::uint8_t kStatic = 0x01;

}  // namespace

std::string ClassicGroup::encode() const {
  RUNNEL_ASSERT(state_ == State::kStable || state_ == State::kEmpty);
  ByteWriter out;
  out.le(kClassicStateVersion);
  out.le(static_cast<std::uint8_t>((protocol_type_ ? kHasProtocolType : 0) |
                                   (protocol_ ? kHasProtocol : 0)));
  out.uvarint(static_cast<std::uint64_t>(generation_));
  out.text(protocol_type_.value_or("")).text(protocol_.value_or("")).text(leader_);
  out.uvarint(members_.size());
  for (const auto& [id, member] : members_) {
    out.text(id).le(member.instance_id ? kStatic : std::uint8_t{0});
    out.text(member.instance_id.value_or("")).text(member.client_id).text(member.host);
    out.uvarint(static_cast<std::uint64_t>(member.session_timeout_ms));
    out.uvarint(static_cast<std::uint64_t>(std::max(member.rebalance_timeout_ms, 0)));
    out.uvarint(member.protocols.size());
    for (const auto& protocol : member.protocols) out.text(protocol.name).text(protocol.metadata);
    out.text(member.assignment);
  }
  return out.take();
}

class ClassicReader {
 public:
  ClassicReader(std::string name, Bytes bytes, ClassicGroup::Time now)
      : group_(std::move(name)), in_(bytes), now_(now) {}

  [[nodiscard]] Result<ClassicGroup> read() {
    const auto version = in_.le<std::uint8_t>();
    if (in_.ok() && version > kClassicStateVersion) {
      return fail(ErrorCode::kFormatTooNew,
                  "the state of group \"" + group_.name_ + "\" has version " +
                      std::to_string(version) + "; this program knows up to " +
                      std::to_string(kClassicStateVersion) + ". Start the newer program again");
    }
    if (version != kClassicStateVersion) return corrupt("it is not a classic group's");
    const auto flags = in_.le<std::uint8_t>();
    group_.generation_ = number("the generation is out of range");
    const std::string_view type = in_.text();
    const std::string_view protocol = in_.text();
    if ((flags & kHasProtocolType) != 0) group_.protocol_type_ = type;
    if ((flags & kHasProtocol) != 0) group_.protocol_ = protocol;
    group_.leader_ = in_.text();
    const std::uint64_t members = in_.uvarint();
    if (members > kMaxClassicMembers) stop("it has too many members");
    for (std::uint64_t i = 0; i < members && in_.ok(); ++i) read_member();
    if (in_.ok()) check();
    if (!in_.ok() || problem_) return corrupt(problem_ ? problem_ : "it ends too early");
    if (!in_.at_end()) return corrupt("bytes follow its end");
    return std::move(group_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const char* why) const {
    return fail(ErrorCode::kCorrupt, "the stored state of group \"" + group_.name_ +
                                         "\" is damaged: " + why +
                                         ". Check the data directory with 'runnel check'");
  }

  void stop(const char* problem) {
    if (in_.ok()) problem_ = problem;
    in_.set_failed();
  }

  std::int32_t number(const char* problem) {
    const std::uint64_t value = in_.uvarint();
    if (value > INT32_MAX) stop(problem);
    return static_cast<std::int32_t>(value & INT32_MAX);
  }

  void read_member() {
    std::string id(in_.text());
    const auto flags = in_.le<std::uint8_t>();
    ClassicGroup::Member member;
    const std::string_view instance_id = in_.text();
    if ((flags & kStatic) != 0) member.instance_id = instance_id;
    member.client_id = in_.text();
    member.host = in_.text();
    member.session_timeout_ms = number("a session timeout is out of range");
    member.rebalance_timeout_ms = number("a rebalance timeout is out of range");
    const std::uint64_t protocols = in_.uvarint();
    if (protocols == 0 || protocols > kMaxMemberProtocols) stop("a member has no protocols");
    for (std::uint64_t i = 0; i < protocols && in_.ok(); ++i) {
      std::string name(in_.text());
      const bool doubled = std::ranges::any_of(
          member.protocols, [&](const classic::Protocol& p) { return p.name == name; });
      if (doubled) return stop("a member names a protocol twice");
      member.protocols.push_back({std::move(name), std::string(in_.text())});
    }
    member.assignment = in_.text();
    if (!in_.ok()) return;
    if (id.empty() || group_.members_.contains(id))
      return stop("a member id is missing or doubled");
    if (member.instance_id && !group_.static_ids_.emplace(*member.instance_id, id).second) {
      return stop("two members have one instance id");
    }
    group_.renew(member, now_);
    group_.count_protocols(member, +1);
    group_.bytes_ += ClassicGroup::cost_of(id, member);
    group_.members_.emplace(std::move(id), std::move(member));
  }

  /// What ClassicGroup relies on, asked again of what was read.
  void check() {
    if (group_.members_.empty()) {
      if (group_.protocol_ || !group_.leader_.empty()) stop("it has a leader but no members");
      return;
    }
    group_.state_ = ClassicGroup::State::kStable;
    if (!group_.protocol_type_ || !group_.protocol_) return stop("it has members but no protocol");
    if (!group_.members_.contains(group_.leader_)) return stop("its leader is not a member");
    const auto known = group_.supported_.find(*group_.protocol_);
    if (known == group_.supported_.end() || known->second != group_.members_.size()) {
      stop("a member does not know its protocol");
    }
  }

  ClassicGroup group_;
  ByteReader in_;
  ClassicGroup::Time now_;
  const char* problem_ = nullptr;
};

Result<ClassicGroup> ClassicGroup::decode(std::string name, Bytes bytes, Time now) {
  return ClassicReader(std::move(name), bytes, now).read();
}

}  // namespace runnel::broker
