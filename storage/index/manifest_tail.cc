#include "storage/index/manifest_tail.h"

#include <algorithm>
#include <optional>

#include "protocol/base/bytes.h"
#include "protocol/record_batch/crc32c.h"

namespace runnel::storage {
namespace {

constexpr std::size_t kBlockBytes = 32'768;
constexpr std::size_t kHeaderBytes = 7;
constexpr std::uint8_t kWhole = 1;
constexpr std::uint8_t kLast = 4;

std::uint32_t masked(std::uint32_t crc) {
  constexpr std::uint32_t kMaskDelta = 0xa282ead8;
  return ((crc >> 15) | (crc << 17)) + kMaskDelta;
}

struct Piece {
  std::size_t bytes = 0;
  bool ends_record = false;
};

/// The record piece at `at`, if it is whole and its checksum holds.
std::optional<Piece> piece_at(Bytes file, std::size_t at) {
  const std::size_t block_left = kBlockBytes - at % kBlockBytes;
  if (block_left < kHeaderBytes || file.size() - at < kHeaderBytes) return std::nullopt;
  const std::byte* const p = file.data() + at;
  const std::size_t length = load_le<std::uint16_t>(p + 4);
  const auto type = static_cast<std::uint8_t>(p[6]);
  if (type < kWhole || type > kLast) return std::nullopt;
  if (kHeaderBytes + length > std::min(block_left, file.size() - at)) return std::nullopt;
  if (masked(protocol::crc32c(file.subspan(at + 6, 1 + length))) != load_le<std::uint32_t>(p)) {
    return std::nullopt;
  }
  return Piece{kHeaderBytes + length, type == kWhole || type == kLast};
}

std::size_t next_block(std::size_t at) {
  return (at / kBlockBytes + 1) * kBlockBytes;
}

/// Skips the zeros at a block's end that are too few for a header.
std::size_t skip_trailer(std::size_t at) {
  return kBlockBytes - at % kBlockBytes < kHeaderBytes ? next_block(at) : at;
}

/// A manifest with an unfinished last record, and how many bytes come before that.
struct TornTail {
  std::string path;
  std::size_t good = 0;
};

Result<std::optional<TornTail>> find_torn_tail(FileSystem& fs, const std::string& directory) {
  const std::optional<TornTail> none;
  auto current = fs.read_file(directory + "/CURRENT");
  if (!current) {
    if (current.error().code() == ErrorCode::kNotFound) return none;
    return fail(current.error());
  }
  while (!current->empty() && current->back() == '\n') current->pop_back();
  const std::string path = directory + "/" + *current;
  if (current->empty() || !fs.exists(path)) return none;  // RocksDB says what is wrong
  RUNNEL_TRY_ASSIGN(const std::string text, fs.read_file(path));
  const Bytes file = as_bytes(text);

  std::size_t good = 0;  // end of the last whole record
  std::size_t at = 0;
  while (at < file.size()) {
    at = skip_trailer(at);
    const auto piece = at < file.size() ? piece_at(file, at) : std::nullopt;
    if (!piece) break;
    at += piece->bytes;
    if (piece->ends_record) good = at;
  }
  if (at >= file.size() && good == at) return none;
  for (std::size_t block = next_block(at); block < file.size(); block += kBlockBytes) {
    if (piece_at(file, block)) return none;
  }
  if (good == 0 || good == file.size()) return none;
  return std::optional<TornTail>({path, good});
}

}  // namespace

Result<bool> has_torn_manifest_tail(FileSystem& fs, const std::string& directory) {
  RUNNEL_TRY_ASSIGN(const auto torn, find_torn_tail(fs, directory));
  return torn.has_value();
}

Result<bool> cut_torn_manifest_tail(FileSystem& fs, const std::string& directory) {
  RUNNEL_TRY_ASSIGN(const auto torn, find_torn_tail(fs, directory));
  if (!torn) return false;
  RUNNEL_TRY_ASSIGN(const auto manifest, fs.open(torn->path, {.write = true}));
  RUNNEL_TRY(manifest->truncate(torn->good));
  RUNNEL_TRY(manifest->sync());
  return true;
}

}  // namespace runnel::storage
