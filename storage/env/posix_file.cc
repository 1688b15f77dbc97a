#include "storage/env/posix_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "storage/env/posix_error.h"
#include "storage/env/slow_close.h"

namespace runnel::storage {
namespace {

/// Pages asked about in one mincore call: 4 MiB of file, 1 KiB of stack.
constexpr std::size_t kResidencyPages = 1024;

/// Drops the first `bytes` bytes of `parts`, and empty parts at the front.
void skip_written(std::span<iovec>& parts, std::size_t bytes) {
  while (!parts.empty() && bytes >= parts.front().iov_len) {
    bytes -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (bytes == 0) return;
  parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + bytes;
  parts.front().iov_len -= bytes;
}

std::uint64_t page_size() {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

PosixFile::~PosixFile() {
  if (map_ != nullptr) ::munmap(map_, mapped_);
  // Linux releases the descriptor even on failure; what had to be kept was synced before.
  frees_slowly_ ? close_slowly(fd_) : static_cast<void>(::close(fd_));
}

Result<std::size_t> PosixFile::read(std::uint64_t position, MutableBytes into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got =
        ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(position + done));
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      return fail(posix_error(errno, "read", path_));
    }
  }
  return done;
}

Status PosixFile::write(std::uint64_t position, std::span<iovec> parts) {
  skip_written(parts, 0);
  while (!parts.empty()) {
    const int count = static_cast<int>(std::min<std::size_t>(parts.size(), IOV_MAX));
    const ssize_t put = ::pwritev(fd_, parts.data(), count, static_cast<off_t>(position));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(posix_error(errno, "write", path_));
    // What is left has to begin with a whole block.
    const std::size_t done = static_cast<std::size_t>(put) / block_bytes_ * block_bytes_;
    // A write of something that wrote nothing would be repeated for ever.
    if (done == 0) return fail(posix_error(EIO, "write", path_));
    position += done;
    skip_written(parts, done);
  }
  return {};
}

Status PosixFile::sync() {
  // Not repeated on EINTR or anything else: after a failed fdatasync the kernel counts the pages
  // as clean, and a second call would succeed without having written them.
  if (::fdatasync(fd_) != 0) return fail(posix_error(errno, "sync", path_));
  return {};
}

Status PosixFile::allocate(std::uint64_t size) {
  RUNNEL_TRY_ASSIGN(const std::uint64_t before, this->size());
  int error = 0;
  do {
    // Extends the file as well: appends into allocated blocks within the size sync faster than
    // appends that move the size.
    error = size == 0 ? 0 : ::posix_fallocate(fd_, 0, static_cast<off_t>(size));
  } while (error == EINTR);
  if (error == 0) return {};
  // A disk that fills up on the way leaves part of it allocated; give that back.
  if (before < size && ::ftruncate(fd_, static_cast<off_t>(before)) != 0) {
    return fail(posix_error(errno, "give back the space of", path_)
                    .within(posix_error(error, "allocate", path_).message()));
  }
  return fail(posix_error(error, "allocate " + std::to_string(size) + " bytes for", path_));
}

Status PosixFile::truncate(std::uint64_t size) {
  while (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return fail(posix_error(errno, "truncate", path_));
  }
  return {};
}

Result<std::uint64_t> PosixFile::size() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return fail(posix_error(errno, "stat", path_));
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::vector<FileRange>> PosixFile::data_ranges() const {
  // All reads and writes are positional, so moving the descriptor's own position harms nobody.
  std::vector<FileRange> ranges;
  for (off_t at = 0;;) {
    const off_t from = ::lseek(fd_, at, SEEK_DATA);
    if (from < 0 && errno == ENXIO) return ranges;
    if (from < 0) return File::data_ranges();
    at = ::lseek(fd_, from, SEEK_HOLE);
    if (at < 0) return File::data_ranges();
    ranges.push_back({static_cast<std::uint64_t>(from), static_cast<std::uint64_t>(at)});
  }
}

bool PosixFile::resident(std::uint64_t position, std::uint64_t length) const {
  MutexLock lock(map_mutex_);
  if (position + length > mapped_ && !map_whole()) return false;
  if (position >= mapped_) return true;  // nothing is waited for beyond the end
  const std::uint64_t end = position + std::min(length, mapped_ - position);
  std::array<unsigned char, kResidencyPages> states;
  for (std::uint64_t at = position - position % page_size(); at < end;) {
    const std::uint64_t chunk = std::min<std::uint64_t>(end - at, kResidencyPages * page_size());
    if (::mincore(static_cast<std::byte*>(map_) + at, chunk, states.data()) != 0) return false;
    const auto pages = static_cast<std::ptrdiff_t>((chunk + page_size() - 1) / page_size());
    const auto in_memory = [](unsigned char state) { return (state & 1) != 0; };
    if (!std::all_of(states.begin(), states.begin() + pages, in_memory)) return false;
    at += chunk;
  }
  return true;
}

bool PosixFile::map_whole() const {
  const auto bytes = size();
  if (!bytes) return false;
  if (*bytes == mapped_) return true;
  if (map_ != nullptr) ::munmap(map_, mapped_);
  map_ = nullptr;
  mapped_ = 0;
  if (*bytes == 0) return true;
  void* const map = ::mmap(nullptr, *bytes, PROT_READ, MAP_SHARED, fd_, 0);
  if (map == MAP_FAILED) return false;
  map_ = map;
  mapped_ = *bytes;
  return true;
}

void PosixFile::will_need(std::uint64_t position, std::uint64_t length) const {
  // A hint: a kernel that refuses it reads later, nothing is lost.
  static_cast<void>(::posix_fadvise(fd_, static_cast<off_t>(position), static_cast<off_t>(length),
                                    POSIX_FADV_WILLNEED));
}

void PosixFile::dont_need(std::uint64_t position, std::uint64_t length) const {
  static_cast<void>(::posix_fadvise(fd_, static_cast<off_t>(position), static_cast<off_t>(length),
                                    POSIX_FADV_DONTNEED));
}

}  // namespace runnel::storage
