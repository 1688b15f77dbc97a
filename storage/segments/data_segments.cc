#include "storage/segments/data_segments.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/base/assert.h"
#include "protocol/base/bytes.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::storage {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kNumberDigits = 10;
constexpr std::array<char, 4> kMagic{'R', 'N', 'L', 'D'};
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kChecksumAt = 40;

using Header = std::array<std::byte, kHeaderBytes>;

Header make_header(std::uint32_t number, const Uuid& store, Timestamp created) {
  Header header{};
  std::byte* const p = header.data();
  std::memcpy(p, kMagic.data(), kMagic.size());
  store_le(p + 4, kVersion);
  store_le(p + 8, number & ~kDataSegmentBit);
  std::memcpy(p + 16, store.bytes.data(), store.bytes.size());
  store_le(p + 32, created.value());
  store_le(p + kChecksumAt, std::uint64_t{XXH3_64bits(p, kChecksumAt)});
  return header;
}

/// A header that can't be read is what a crash left behind, or damage that the batches' own
/// checksums will tell: it keeps nobody from reading them.
bool belongs_to_another(Bytes header, const Uuid& store) {
  if (header.size() < kHeaderBytes) return false;
  if (std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) return false;
  if (load_le<std::uint64_t>(&header[kChecksumAt]) != XXH3_64bits(header.data(), kChecksumAt)) {
    return false;
  }
  return std::memcmp(&header[16], store.bytes.data(), store.bytes.size()) != 0;
}

}  // namespace

std::uint64_t heads_checksum(Bytes batches, std::uint64_t before) noexcept {
  constexpr std::size_t kHeadBytes = 21;
  std::uint64_t sum = before;
  while (!batches.empty()) {
    sum = XXH3_64bits_withSeed(batches.data(), kHeadBytes, sum);
    batches = batches.subspan(protocol::BatchView(batches).total_bytes());
  }
  return sum;
}

std::string data_segment_file_name(std::uint32_t number) {
  const std::string digits = std::to_string(number & ~kDataSegmentBit);
  return std::string(kNumberDigits - digits.size(), '0') + digits + std::string(kSuffix);
}

std::optional<std::uint32_t> parse_data_segment_file_name(std::string_view name) {
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return {};
  std::uint32_t number = 0;
  const char* const end = name.data() + kNumberDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc() || stop != end || number == 0 || is_data_segment(number)) return {};
  return number | kDataSegmentBit;
}

Result<std::unique_ptr<DataSegments>> DataSegments::open(DataSegmentOptions options) {
  std::unique_ptr<DataSegments> data(new DataSegments(std::move(options)));
  RUNNEL_TRY(data->load());
  return data;
}

Status DataSegments::load() {
  FileSystem& fs = *options_.file_system;
  RUNNEL_TRY_ASSIGN(const auto entries, fs.list(options_.directory));
  MutexLock lock(mutex_);
  for (const DirectoryEntry& entry : entries) {
    const auto number = parse_data_segment_file_name(entry.name);
    if (entry.is_directory || !number) continue;
    Segment segment;
    // Not written to: see File::free_slowly().
    RUNNEL_TRY_ASSIGN(segment.file, fs.open(path(*number), {.write = true}));
    RUNNEL_TRY_ASSIGN(segment.bytes, segment.file->size());
    Header header{};
    RUNNEL_TRY_ASSIGN(const std::size_t got, segment.file->read(0, header));
    if (belongs_to_another(Bytes(header).first(got), options_.store)) {
      return fail(ErrorCode::kCorrupt, segment.file->path() +
                                           " belongs to another store; move it back to where it "
                                           "came from");
    }
    // What the index points to was synced before; the rest does not count.
    segment.durable = segment.bytes;
    last_number_ = std::max(last_number_, *number);
    segments_[*number] = std::move(segment);
  }
  return {};
}

Result<std::shared_ptr<const File>> DataSegments::file(std::uint32_t number) const {
  MutexLock lock(mutex_);
  const auto it = segments_.find(number);
  if (it != segments_.end()) return std::shared_ptr<const File>(it->second.file);
  return fail(ErrorCode::kNotFound,
              "there is no " + segment_name(number) + " in " + options_.directory);
}

std::vector<SegmentInfo> DataSegments::segments() const {
  MutexLock lock(mutex_);
  std::vector<SegmentInfo> all;
  for (const auto& [number, segment] : segments_) all.push_back({number, segment.bytes});
  return all;
}

std::vector<SegmentInfo> DataSegments::durable_segments() const {
  MutexLock lock(mutex_);
  std::vector<SegmentInfo> durable;
  for (const auto& [number, segment] : segments_) {
    if (segment.durable != 0) durable.push_back({number, segment.durable});
  }
  return durable;
}

std::uint64_t DataSegments::disk_bytes() const {
  MutexLock lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& [number, segment] : segments_) bytes += segment.bytes;
  return bytes;
}

void DataSegments::skip_to(std::uint32_t number) {
  if (is_data_segment(number)) last_number_ = std::max(last_number_, number);
}

Status DataSegments::begin_segment() {
  if (dirty_) RUNNEL_TRY(sync());
  current_.reset();
  const std::uint32_t number = last_number_ + 1;
  RUNNEL_ASSERT(is_data_segment(number));
  last_number_ = number;
  RUNNEL_TRY_ASSIGN(
      std::shared_ptr<File> file,
      options_.file_system->open(path(number), {.write = true, .create = true, .truncate = true}));
  const Header header = make_header(number, options_.store, options_.clock->now());
  const Status written = file->write(0, Bytes(header));
  {
    MutexLock lock(mutex_);
    segments_[number] = {file, kHeaderBytes, 0};
  }
  RUNNEL_TRY(written);
  current_ = std::move(file);
  current_number_ = number;
  end_ = kHeaderBytes;
  name_is_new_ = true;
  dirty_ = true;
  return {};
}

Result<Position> DataSegments::write(std::span<const Bytes> parts) {
  std::uint64_t bytes = 0;
  std::vector<iovec> pieces;
  for (const Bytes part : parts) {
    bytes += part.size();
    pieces.push_back({const_cast<std::byte*>(part.data()), part.size()});
  }
  RUNNEL_ASSERT(bytes <= kMaxSegmentBytes);
  const bool full = end_ > kHeaderBytes && end_ + bytes > options_.segment_bytes;
  if (!current_ || full) RUNNEL_TRY(begin_segment());
  const Position at{current_number_, static_cast<std::uint32_t>(end_)};
  dirty_ = true;
  if (Status s = current_->write(end_, pieces); !s) {
    current_.reset();  // what is behind its end is not known any more
    dirty_ = false;
    return fail(s.error());
  }
  end_ += bytes;
  written_ += bytes;
  MutexLock lock(mutex_);
  segments_[current_number_].bytes = end_;
  return at;
}

Status DataSegments::sync() {
  if (!dirty_) return {};
  dirty_ = false;
  Status status = current_->sync();
  if (status && name_is_new_) status = options_.file_system->sync_directory(options_.directory);
  if (!status) {
    current_.reset();  // never synced again
    return status;
  }
  name_is_new_ = false;
  MutexLock lock(mutex_);
  segments_[current_number_].durable = end_;
  return {};
}

Status DataSegments::remove(std::uint32_t number) {
  RUNNEL_ASSERT(!is_current(number));
  {
    MutexLock lock(mutex_);
    if (!segments_.contains(number)) {
      return fail(ErrorCode::kNotFound, segment_name(number) + " is not there");
    }
  }
  // As long as the file is there it is known.
  const Status removed = options_.file_system->remove(path(number));
  if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed;
  // Closing the file frees its pages and blocks, which takes a while: not while others wait.
  std::shared_ptr<File> closed_last;
  MutexLock lock(mutex_);
  const auto it = segments_.find(number);
  closed_last = std::move(it->second.file);
  closed_last->free_slowly();
  segments_.erase(it);
  return {};
}

}  // namespace runnel::storage
