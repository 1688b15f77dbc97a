// The anchor: a small file that says how far the journal was durable, so that damage before that
// point is never taken for a torn tail. docs/formats/anchor.md is the page.
//
// Two slots at offsets 0 and 4096 (never in one sector), written in turn, each synced before the
// other is touched. The valid slot with the higher counter counts. Integers little-endian:
//   offset size field
//        0    4 magic "RNLA"
//        4    2 version 1
//        6    2 zero
//        8    8 counter            one more than the slot written before; slot = counter mod 2
//       16    8 durable position   segment << 32 | offset
//       24    8 sequence           of the last durable frame
//       32   16 store id
//       48    8 checksum           xxh3-64 of bytes 0..47
//       56    8 zero
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/uuid.h"
#include "storage/env/file_system.h"
#include "storage/segments/position.h"

namespace runnel::storage {

inline constexpr std::size_t kAnchorSlotBytes = 64;
inline constexpr std::uint64_t kAnchorSlotDistance = 4096;

struct Anchor {
  std::uint64_t counter = 0;
  Position durable;
  std::uint64_t sequence = 0;
  Uuid store;
};

[[nodiscard]] std::array<std::byte, kAnchorSlotBytes> encode_anchor(const Anchor& anchor);
/// Nothing if the slot was never written, torn or damaged: no witness.
[[nodiscard]] std::optional<Anchor> read_anchor_slot(Bytes bytes);

/// The newest valid slot of a file; nothing if the file is missing or neither slot is valid.
/// Errors: kIo.
[[nodiscard]] Result<std::optional<Anchor>> read_anchor(FileSystem& fs, const std::string& path);

/// Not thread safe.
class AnchorWriter {
 public:
  /// `last_counter`: of what read_anchor gave, or 0. The file is made at the first write.
  AnchorWriter(FileSystem& fs, std::string path, std::uint64_t last_counter);
  /// Overwrites the older slot and syncs it. `anchor.counter` is set here.
  [[nodiscard]] Status write(Anchor anchor);

 private:
  [[nodiscard]] Status open_file();

  FileSystem& fs_;
  std::string path_;
  std::uint64_t counter_;
  std::shared_ptr<File> file_;
};

}  // namespace runnel::storage
