#include "broker/net/output_queue.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "broker/net/sockets.h"

namespace runnel::broker {
namespace {

constexpr std::size_t kGatheredPieces = 64;         // most iovecs of one sendmsg
constexpr std::size_t kKeptPieces = 16;             // capacity kept while idle
constexpr std::uint64_t kStagedBytes = 128u << 10;  // copied at once from files without descriptor

std::uint64_t size_of(const OutPiece& piece) {
  if (const auto* buffer = std::get_if<Buffer>(&piece)) return buffer->size();
  return std::get<storage::FileSlice>(piece).length;
}

tl::unexpected<Error> send_failed(const char* call, int error) {
  return fail(ErrorCode::kDisconnected, std::string(call) + ": " + errno_text(error));
}

}  // namespace

void OutputQueue::push(Output output) {
  for (OutPiece& piece : output) {
    const std::uint64_t size = size_of(piece);
    if (size == 0) continue;
    unsent_ += size;
    pieces_.push_back(std::move(piece));
  }
}

Result<OutputQueue::Progress> OutputQueue::write_to(int fd, std::uint64_t at_most) {
  std::uint64_t sent = 0;
  while (!empty()) {
    if (sent >= at_most) return Progress::kMore;
    const bool buffer = std::holds_alternative<Buffer>(pieces_[head_]);
    RUNNEL_TRY_ASSIGN(const std::uint64_t step,
                      buffer ? write_buffers(fd) : write_slice(fd, at_most - sent));
    if (step == 0 && std::holds_alternative<Buffer>(pieces_[head_]) == buffer) {
      return Progress::kBlocked;
    }
    sent += step;
    consume(step);
  }
  return Progress::kDone;
}

Result<std::uint64_t> OutputQueue::write_buffers(int fd) {
  std::array<iovec, kGatheredPieces> parts;
  std::size_t count = 0;
  std::size_t next = head_;
  for (; next < pieces_.size() && count < parts.size(); ++next) {
    auto* buffer = std::get_if<Buffer>(&pieces_[next]);
    if (buffer == nullptr) break;
    const std::uint64_t skip = next == head_ ? head_sent_ : 0;
    parts[count++] = {buffer->mutable_data() + skip, buffer->size() - skip};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  const int more = next < pieces_.size() ? MSG_MORE : 0;
  for (;;) {
    const ssize_t n = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL | more);
    if (n >= 0) return static_cast<std::uint64_t>(n);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return send_failed("sendmsg", errno);
  }
}

Result<std::uint64_t> OutputQueue::write_slice(int fd, std::uint64_t at_most) {
  const auto& slice = std::get<storage::FileSlice>(pieces_[head_]);
  const int from = slice.file->descriptor();
  if (from < 0) {
    RUNNEL_TRY(stage_slice());
    return 0;
  }
  for (;;) {
    auto position = static_cast<off_t>(slice.position);
    const ssize_t n = ::sendfile(fd, from, &position, std::min(slice.length, at_most));
    if (n > 0) return static_cast<std::uint64_t>(n);
    if (n == 0) {
      // The length was promised to the peer: nothing sensible can follow.
      return fail(ErrorCode::kCorrupt, slice.file->path() + " ends before byte " +
                                           std::to_string(slice.position + slice.length) +
                                           "; run `runnel check` on the data directory");
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return send_failed("sendfile", errno);
  }
}

Status OutputQueue::stage_slice() {
  auto& slice = std::get<storage::FileSlice>(pieces_[head_]);
  const std::uint64_t size = std::min(slice.length, kStagedBytes);
  Buffer staged = Buffer::allocate(size);
  RUNNEL_TRY(slice.file->read_exactly(slice.position, staged.mutable_bytes()));
  slice.position += size;
  slice.length -= size;
  if (slice.length == 0) {
    pieces_[head_] = std::move(staged);
  } else if (head_ > 0) {
    pieces_[--head_] = std::move(staged);
  } else {
    pieces_.insert(pieces_.begin(), std::move(staged));
  }
  return {};
}

void OutputQueue::consume(std::uint64_t bytes) {
  unsent_ -= bytes;
  while (bytes > 0) {
    if (auto* slice = std::get_if<storage::FileSlice>(&pieces_[head_])) {
      RUNNEL_ASSERT(bytes <= slice->length);
      slice->position += bytes;
      slice->length -= bytes;
      if (slice->length == 0) pop();
      return;
    }
    const std::uint64_t left = std::get<Buffer>(pieces_[head_]).size() - head_sent_;
    const std::uint64_t step = std::min(left, bytes);
    bytes -= step;
    head_sent_ += step;
    if (step == left) pop();
  }
}

void OutputQueue::pop() {
  head_sent_ = 0;
  pieces_[head_++] = Buffer();  // lets go of the bytes now
  if (head_ < pieces_.size()) {
    // A queue that never empties must not keep its past.
    if (head_ >= kGatheredPieces && head_ * 2 >= pieces_.size()) {
      pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    return;
  }
  clear();
}

void OutputQueue::clear() {
  pieces_.clear();
  if (pieces_.capacity() > kKeptPieces) pieces_.shrink_to_fit();
  head_ = 0;
  head_sent_ = 0;
  unsent_ = 0;
}

}  // namespace runnel::broker
