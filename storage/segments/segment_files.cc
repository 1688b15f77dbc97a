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

SegmentFiles::SegmentFiles(FileSystem& fs, std::string directory, std::uint64_t standard_bytes)
    : fs_(fs), directory_(std::move(directory)), standard_bytes_(standard_bytes) {}

Result<std::shared_ptr<File>> SegmentFiles::make(std::uint32_t number, std::uint64_t least,
                                                 std::uint64_t most) const {
  auto file = create(number, std::max(std::min(standard_bytes_, most), least));
  const std::uint64_t small = std::max(least, kMinSegmentBytes);
  if (!file && file.error().code() == ErrorCode::kLowSpace && small < standard_bytes_) {
    // Deleting and trimming write frames too, and they are what frees a full disk.
    return create(number, small);
  }
  return file;
}

Result<std::shared_ptr<File>> SegmentFiles::create(std::uint32_t number,
                                                   std::uint64_t bytes) const {
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

}  // namespace runnel::storage
