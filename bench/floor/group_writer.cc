#include "bench/floor/group_writer.h"

#include <climits>

#include "bench/floor/floor.h"

namespace runnel::bench {
namespace {

Status write_all(int fd, std::uint64_t position, std::span<iovec> parts) {
  while (!parts.empty()) {
    const auto count = static_cast<int>(std::min<std::size_t>(parts.size(), IOV_MAX));
    const ssize_t wrote = ::pwritev(fd, parts.data(), count, static_cast<off_t>(position));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return system_error("pwritev");
    position += static_cast<std::uint64_t>(wrote);
    auto done = static_cast<std::size_t>(wrote);
    while (!parts.empty() && done >= parts.front().iov_len) {
      done -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (!parts.empty()) {
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + done;
      parts.front().iov_len -= done;
    }
  }
  return {};
}

}  // namespace

GroupWriter::GroupWriter(const ScratchFile& file)
    : file_(file), syncer_([this] { run_syncer(); }) {}

GroupWriter::~GroupWriter() {
  if (const Status ended = finish(); !ended) {
    std::fprintf(stderr, "%s\n", ended.error().message().c_str());
  }
}

Status GroupWriter::write(std::span<iovec> parts, OnSynced on_synced) {
  std::uint64_t bytes = 0;
  for (const iovec& part : parts) bytes += part.iov_len;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return unsynced_bytes_ <= kMaxUnsyncedBytes || error_; });
    if (error_) return fail(*error_);
  }
  RUNNEL_TRY(write_all(file_.descriptor(), position_, parts));
  position_ += bytes;
  const std::lock_guard lock(mutex_);
  unsynced_bytes_ += bytes;
  written_.push_back(std::move(on_synced));
  changed_.notify_all();
  return {};
}

void GroupWriter::run_syncer() {
  std::vector<OnSynced> groups;
  while (true) {
    std::uint64_t bytes = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !written_.empty(); });
      if (written_.empty()) return;
      groups.swap(written_);
      bytes = unsynced_bytes_;
    }
    const Status synced = file_.sync();
    ++syncs_;
    for (const OnSynced& call : groups) {
      if (synced && call) call();
    }
    groups.clear();
    const std::lock_guard lock(mutex_);
    unsynced_bytes_ -= bytes;
    if (!synced) error_ = synced.error();
    changed_.notify_all();
    if (error_) return;
  }
}

Status GroupWriter::finish() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (syncer_.joinable()) syncer_.join();
  if (error_) return fail(*error_);
  return {};
}

}  // namespace runnel::bench
