// The stored form of Progress; its table is in deliveries.h.
#include "broker/hooks/deliveries.h"
#include "protocol/base/bytes.h"

namespace runnel::broker::hooks {
namespace {

constexpr std::uint8_t kFormat = 1;

/// Distances that were written one after the other, as offsets again.
class Steps {
 public:
  explicit Steps(Offset from) : at_(from) {}
  /// nullopt: there is no such offset.
  std::optional<Offset> step(std::uint64_t distance) {
    const auto left = static_cast<std::uint64_t>(INT64_MAX - at_.value());
    if (distance > left) return std::nullopt;
    return at_ = at_ + static_cast<std::int64_t>(distance);
  }

 private:
  Offset at_;
};

}  // namespace

std::string Progress::encode() const {
  ByteWriter out;
  out.le(kFormat).le(partition.value()).le(next.value()).le(lost).uvarint(done.size());
  Offset before = next;
  for (const Offset offset : done) {
    out.uvarint(static_cast<std::uint64_t>(offset - before));
    before = offset;
  }
  out.uvarint(failed.size());
  before = next;
  for (const auto& [offset, attempts] : failed) {
    out.uvarint(static_cast<std::uint64_t>(offset - before)).uvarint(attempts);
    before = offset;
  }
  return out.take();
}

Result<Progress> Progress::decode(std::string_view value) {
  const auto damaged = [] {
    return fail(ErrorCode::kCorrupt, "the stored place of a webhook is damaged");
  };
  ByteReader in(as_bytes(value));
  if (const auto format = in.le<std::uint8_t>(); in.ok() && format != kFormat) {
    if (format < kFormat) return damaged();
    return fail(ErrorCode::kFormatTooNew,
                "the stored place of a webhook was written by a newer version of Runnel");
  }
  Progress out;
  out.partition = PartitionId(in.le<std::uint32_t>());
  out.next = Offset(in.le<std::int64_t>());
  out.lost = in.le<std::uint64_t>();
  if (out.next < Offset(0)) return damaged();
  Steps done(out.next);
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    const auto offset = done.step(in.uvarint());
    if (!offset) return damaged();
    out.done.insert(*offset);
  }
  Steps failed(out.next);
  for (std::uint64_t left = in.uvarint(); left > 0 && in.ok(); --left) {
    const auto offset = failed.step(in.uvarint());
    const std::uint64_t attempts = in.uvarint();
    if (!offset || attempts > UINT32_MAX) return damaged();
    out.failed[*offset] = static_cast<std::uint32_t>(attempts);
  }
  if (!in.at_end()) return damaged();
  return out;
}

}  // namespace runnel::broker::hooks
