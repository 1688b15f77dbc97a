#include "storage/segments/anchor.h"

#include <xxhash.h>

#include <cstring>
#include <utility>

#include "protocol/base/bytes.h"

namespace runnel::storage {
namespace {

constexpr std::array<char, 4> kMagic{'R', 'N', 'L', 'A'};
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kChecksumAt = 48;

}  // namespace

std::array<std::byte, kAnchorSlotBytes> encode_anchor(const Anchor& anchor) {
  std::array<std::byte, kAnchorSlotBytes> out{};
  std::byte* const p = out.data();
  std::memcpy(p, kMagic.data(), kMagic.size());
  store_le<std::uint16_t>(p + 4, kVersion);
  store_le<std::uint64_t>(p + 8, anchor.counter);
  store_le<std::uint64_t>(p + 16, anchor.durable.pack());
  store_le<std::uint64_t>(p + 24, anchor.sequence);
  std::memcpy(p + 32, anchor.store.bytes.data(), anchor.store.bytes.size());
  store_le<std::uint64_t>(p + kChecksumAt, XXH3_64bits(p, kChecksumAt));
  return out;
}

std::optional<Anchor> read_anchor_slot(Bytes bytes) {
  if (bytes.size() < kAnchorSlotBytes) return std::nullopt;
  const std::byte* const p = bytes.data();
  if (std::memcmp(p, kMagic.data(), kMagic.size()) != 0 ||
      load_le<std::uint64_t>(p + kChecksumAt) != XXH3_64bits(p, kChecksumAt) ||
      load_le<std::uint16_t>(p + 4) != kVersion) {
    return std::nullopt;
  }
  Anchor anchor;
  anchor.counter = load_le<std::uint64_t>(p + 8);
  anchor.durable = Position::unpack(load_le<std::uint64_t>(p + 16));
  anchor.sequence = load_le<std::uint64_t>(p + 24);
  std::memcpy(anchor.store.bytes.data(), p + 32, anchor.store.bytes.size());
  return anchor;
}

Result<std::optional<Anchor>> read_anchor(FileSystem& fs, const std::string& path) {
  if (!fs.exists(path)) return std::optional<Anchor>();
  RUNNEL_TRY_ASSIGN(const auto file, fs.open(path, {}));
  std::optional<Anchor> newest;
  for (const std::uint64_t at : {std::uint64_t{0}, kAnchorSlotDistance}) {
    std::array<std::byte, kAnchorSlotBytes> slot{};
    RUNNEL_TRY_ASSIGN(const std::size_t got, file->read(at, slot));
    const auto anchor = read_anchor_slot(Bytes(slot).first(got));
    if (anchor && (!newest || anchor->counter > newest->counter)) newest = anchor;
  }
  return newest;
}

AnchorWriter::AnchorWriter(FileSystem& fs, std::string path, std::uint64_t last_counter)
    : fs_(fs), path_(std::move(path)), counter_(last_counter) {}

Status AnchorWriter::open_file() {
  const bool existed = fs_.exists(path_);
  RUNNEL_TRY_ASSIGN(file_, fs_.open(path_, {.write = true, .create = true}));
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, file_->size());
  if (size < 2 * kAnchorSlotDistance) {
    // Blocks of its own: a full disk must not stop the anchor.
    RUNNEL_TRY(file_->allocate(2 * kAnchorSlotDistance));
    RUNNEL_TRY(file_->sync());
  }
  if (!existed) RUNNEL_TRY(fs_.sync_directory(parent_directory(path_)));
  return {};
}

Status AnchorWriter::write(Anchor anchor) {
  if (!file_) RUNNEL_TRY(open_file());
  anchor.counter = counter_ + 1;
  const auto slot = encode_anchor(anchor);
  RUNNEL_TRY(file_->write(anchor.counter % 2 * kAnchorSlotDistance, Bytes(slot)));
  RUNNEL_TRY(file_->sync());
  counter_ = anchor.counter;
  return {};
}

}  // namespace runnel::storage
