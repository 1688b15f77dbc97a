#include "tools/backup/copy.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "tools/transfer/compressed_file.h"

namespace runnel::tools {
namespace {

constexpr std::size_t kPieceBytes = 1u << 20;
/// So much at most waits to be written back: a disk that gets it all at once keeps others waiting.
constexpr std::uint64_t kSyncBytes = 16u << 20;
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

Xxh3::Xxh3() : state_(XXH3_createState(), &XXH3_freeState) {
  XXH3_64bits_reset(state_.get());
}

void Xxh3::add(std::string_view bytes) {
  XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string Xxh3::hex() const {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits_digest(state_.get())));
  return text.data();
}

std::string xxh3_of(std::string_view bytes) {
  Xxh3 hash;
  hash.add(bytes);
  return hash.hex();
}

Result<std::string> copy_stretch(const Stretch& what, storage::File* to, std::uint64_t at,
                                 const Did& did) {
  Xxh3 hash;
  Buffer piece = Buffer::allocate(kPieceBytes);
  std::uint64_t unsynced = 0;
  for (std::uint64_t done = 0; done < what.bytes;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(what.bytes - done, kPieceBytes));
    const bool cold = !what.file->resident(what.from + done, size);
    RUNNEL_TRY_ASSIGN(const std::size_t got,
                      what.file->read(what.from + done, piece.mutable_bytes().first(size)));
    if (got < size) {
      return fail(ErrorCode::kCorrupt, what.file->path() +
                                           " is shorter than it should be: it ends at byte " +
                                           std::to_string(what.from + done + got));
    }
    const Bytes bytes = piece.bytes().first(size);
    hash.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (to != nullptr) RUNNEL_TRY(to->write(at + done, bytes));
    if (cold) what.file->dont_need(what.from + done, size);
    done += size;
    unsynced += size;
    if (to != nullptr && (unsynced >= kSyncBytes || done == what.bytes)) {
      RUNNEL_TRY(to->sync());
      to->dont_need(at + done - unsynced, unsynced);
      unsynced = 0;
    }
    did(size);
  }
  return hash.hex();
}

Result<std::int64_t> modified_nanos(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(file_error("read", path));
  return info.st_mtim.tv_sec * kNanosPerSecond + info.st_mtim.tv_nsec;
}

Status make_directories(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code failed;
  std::vector<fs::path> grown;  // directories that get a new one
  for (fs::path at = fs::absolute(path, failed).lexically_normal(); !fs::exists(at, failed);) {
    const fs::path parent = at.parent_path();
    if (parent == at) break;
    grown.push_back(parent);
    at = parent;
  }
  failed.clear();
  fs::create_directories(path, failed);
  if (failed) return fail(ErrorCode::kIo, "cannot create " + path + ": " + failed.message());
  for (const fs::path& parent : grown) RUNNEL_TRY(sync_path(parent));
  return {};
}

}  // namespace runnel::tools
