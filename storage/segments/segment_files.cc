#include "storage/segments/segment_files.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include "storage/segments/frame.h"

namespace runnel::storage {
namespace {

constexpr std::size_t kNumberDigits = 10;
constexpr std::string_view kSuffix = ".wal";
constexpr std::string_view kSparePrefix = "spare-";

}  // namespace

std::string segment_file_name(std::uint32_t number) {
  std::string digits = std::to_string(number);
  return std::string(kNumberDigits - digits.size(), '0') + digits + std::string(kSuffix);
}

std::optional<std::uint32_t> parse_segment_file_name(std::string_view name) {
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return {};
  std::uint32_t number = 0;
  const char* const end = name.data() + kNumberDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc() || stop != end || number == 0) return {};
  return number;
}

bool is_spare_name(std::string_view name) {
  return name.starts_with(kSparePrefix);
}

SegmentFiles::SegmentFiles(FileSystem& fs, std::string directory, std::uint64_t standard_bytes)
    : fs_(fs), directory_(std::move(directory)), standard_bytes_(standard_bytes) {}

Status SegmentFiles::adopt_spares() {
  MutexLock lock(mutex_);
  spares_.clear();
  RUNNEL_TRY_ASSIGN(const auto entries, fs_.list(directory_));
  for (const DirectoryEntry& entry : entries) {
    if (entry.is_directory || !is_spare_name(entry.name)) continue;
    const std::string file_path = directory_ + "/" + entry.name;
    RUNNEL_TRY_ASSIGN(const auto file, fs_.open(file_path, {}));
    RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
    if (size == standard_bytes_ && spares_.size() < kMaxSpareSegments) {
      spares_.push_back(file_path);
    } else {
      RUNNEL_TRY(fs_.remove(file_path));
    }
  }
  return {};
}

Result<std::shared_ptr<File>> SegmentFiles::make(std::uint32_t number, std::uint64_t least) {
  if (least <= standard_bytes_) {
    MutexLock lock(mutex_);
    if (!spares_.empty()) return reuse_spare(number);
  }
  auto file = create(number, std::max(standard_bytes_, least));
  const std::uint64_t small = std::max(least, kMinSegmentBytes);
  if (!file && file.error().code() == ErrorCode::kLowSpace && small < standard_bytes_) {
    // Deleting and trimming write frames too, and they are what frees a full disk.
    return create(number, small);
  }
  return file;
}

Result<std::shared_ptr<File>> SegmentFiles::reuse_spare(std::uint32_t number) {
  const std::string to = path(number);
  RUNNEL_TRY(fs_.rename(spares_.back(), to));
  spares_.pop_back();
  // Until the new name is durable the old contents must stay: a crash may bring the old name back.
  RUNNEL_TRY(fs_.sync_directory(directory_));
  return fs_.open(to, {.write = true});
}

Result<std::shared_ptr<File>> SegmentFiles::create(std::uint32_t number, std::uint64_t bytes) {
  const std::string to = path(number);
  const auto fill = [&]() -> Result<std::shared_ptr<File>> {
    RUNNEL_TRY_ASSIGN(auto file, fs_.open(to, {.write = true, .create = true, .truncate = true}));
    RUNNEL_TRY(file->allocate(bytes));
    RUNNEL_TRY(file->sync());
    RUNNEL_TRY(fs_.sync_directory(directory_));
    return file;
  };
  auto file = fill();
  // Best effort: what stays behind is no segment, it has no header.
  if (!file && fs_.exists(to)) static_cast<void>(fs_.remove(to));
  return file;
}

Status SegmentFiles::retire(std::uint32_t number, std::shared_ptr<File> file) {
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
  MutexLock lock(mutex_);
  if (size != standard_bytes_ || file.use_count() != 1 || spares_.size() >= kMaxSpareSegments) {
    return fs_.remove(path(number));
  }
  std::size_t i = 0;
  const auto spare_path = [&] {
    return directory_ + "/" + std::string(kSparePrefix) + std::to_string(i);
  };
  while (std::find(spares_.begin(), spares_.end(), spare_path()) != spares_.end()) ++i;
  RUNNEL_TRY(fs_.rename(path(number), spare_path()));
  spares_.push_back(spare_path());
  return {};
}

std::uint64_t SegmentFiles::spare_bytes() const {
  MutexLock lock(mutex_);
  return spares_.size() * standard_bytes_;
}

}  // namespace runnel::storage
