#include "tests/support/sim_file_system.h"

#include <unistd.h>

#include <utility>

namespace runnel::storage {
namespace {

/// What direct writes are aligned to, bytes.
constexpr std::size_t kBlockBytes = 4096;

}  // namespace

class SimFile final : public File {
 public:
  SimFile(SimFileSystem& owner, SimNodePtr node, std::uint64_t generation, bool writable,
          std::size_t block_bytes, std::string path)
      : owner_(owner),
        path_(std::move(path)),
        handle_{.node = std::move(node),
                .generation = generation,
                .writable = writable,
                .block_bytes = block_bytes,
                .path = path_} {}
  ~SimFile() override { owner_.close(handle_); }
  SimFile(const SimFile&) = delete;
  SimFile& operator=(const SimFile&) = delete;

  using File::write;
  Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override {
    return owner_.read(handle_, position, into);
  }
  Status write(std::uint64_t position, std::span<iovec> parts) override {
    return owner_.write(handle_, position, parts);
  }
  std::size_t block_bytes() const noexcept override { return handle_.block_bytes; }
  Status sync() override { return owner_.sync(handle_); }
  Status allocate(std::uint64_t size) override { return owner_.allocate(handle_, size); }
  Status truncate(std::uint64_t size) override { return owner_.truncate(handle_, size); }
  Result<std::uint64_t> size() const override { return owner_.size(handle_); }
  bool resident(std::uint64_t position, std::uint64_t length) const override {
    const MutexLock lock(owner_.mutex_);
    return position + length <= owner_.resident_before_;
  }
  void will_need(std::uint64_t, std::uint64_t) const override {}
  void dont_need(std::uint64_t position, std::uint64_t length) const override {
    const MutexLock lock(owner_.mutex_);
    owner_.released_.push_back({path_, position, length});
  }
  int descriptor() const noexcept override { return -1; }
  const std::string& path() const noexcept override { return path_; }

 private:
  SimFileSystem& owner_;
  const std::string path_;
  const SimFileSystem::Handle handle_;
};

class SimLock final : public FileLock {
 public:
  SimLock(SimFileSystem& owner, std::uint64_t node, std::uint64_t generation)
      : owner_(owner), node_(node), generation_(generation) {}
  ~SimLock() override { owner_.unlock(node_, generation_); }
  SimLock(const SimLock&) = delete;
  SimLock& operator=(const SimLock&) = delete;

 private:
  SimFileSystem& owner_;
  const std::uint64_t node_;
  const std::uint64_t generation_;
};

// ---- what happens to machines ----

void SimFileSystem::power_cut(CutMode mode) {
  power_off(mode);
  boot();
}

void SimFileSystem::power_off(CutMode mode) {
  const MutexLock lock(mutex_);
  if (!off_) disk_.power_cut(mode);
  off_ = true;
  end_processes();
}

void SimFileSystem::boot() {
  const MutexLock lock(mutex_);
  off_ = false;
}

void SimFileSystem::kill_process() {
  const MutexLock lock(mutex_);
  end_processes();
}

void SimFileSystem::end_processes() const {
  ++generation_;
  locked_.clear();
  disk_.close_all();
}

void SimFileSystem::set_fault(Fault fault) {
  const MutexLock lock(mutex_);
  RUNNEL_ASSERT(fault.nth >= 1);
  fault_ = std::move(fault);
  struck_ = false;
}

void SimFileSystem::clear_fault() {
  const MutexLock lock(mutex_);
  fault_.reset();
}

bool SimFileSystem::fault_struck() const {
  const MutexLock lock(mutex_);
  return struck_;
}

void SimFileSystem::set_capacity(std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  capacity_ = bytes;
}

void SimFileSystem::set_read_only(bool read_only) {
  const MutexLock lock(mutex_);
  read_only_ = read_only;
}

void SimFileSystem::set_refuses_direct(bool refuses) {
  const MutexLock lock(mutex_);
  refuses_direct_ = refuses;
}

void SimFileSystem::set_lying_sync(bool lying) {
  const MutexLock lock(mutex_);
  lying_ = lying;
}

void SimFileSystem::set_resident(bool resident) {
  set_resident_before(resident ? UINT64_MAX : 0);
}

void SimFileSystem::set_resident_before(std::uint64_t position) {
  const MutexLock lock(mutex_);
  resident_before_ = position;
}

// ---- damage and looking ----

SimNodePtr SimFileSystem::file_at(const std::string& path) const {
  const auto place = disk_.find(path);
  return place && place->node && !place->node->is_directory ? place->node : nullptr;
}

bool SimFileSystem::flip_bit(const std::string& path, std::uint64_t position, unsigned bit) {
  const MutexLock lock(mutex_);
  const SimNodePtr node = file_at(path);
  if (!node || position >= node->content.visible().size()) return false;
  node->content.flip_bit(position, bit);
  return true;
}

bool SimFileSystem::damage_truncate(const std::string& path, std::uint64_t size) {
  const MutexLock lock(mutex_);
  const SimNodePtr node = file_at(path);
  if (!node || size > node->content.visible().size()) return false;
  node->content.cut_to(size);
  disk_.charge(*node);
  return true;
}

bool SimFileSystem::damage_remove(const std::string& path) {
  const MutexLock lock(mutex_);
  if (!file_at(path)) return false;
  disk_.destroy(*disk_.find(path));
  return true;
}

std::vector<SimFileInfo> SimFileSystem::files() const {
  const MutexLock lock(mutex_);
  std::vector<SimFileInfo> found;
  std::vector<std::pair<std::string, SimNodePtr>> waiting{{"", disk_.root()}};
  while (!waiting.empty()) {
    const auto [path, directory] = std::move(waiting.back());
    waiting.pop_back();
    for (const auto& [name, node] : directory->names) {
      const std::string full = path + "/" + name;
      if (node->is_directory) {
        waiting.emplace_back(full, node);
      } else {
        found.push_back({.path = full,
                         .size = node->content.visible().size(),
                         .unsynced_operations = node->content.unsynced_operations()});
      }
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return found;
}

SimCounters SimFileSystem::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

// ---- faults ----

Status SimFileSystem::powered(const std::string& path) const {
  if (off_) return fail(ErrorCode::kIo, "cannot use " + path + ": the simulated power is off");
  return {};
}

Status SimFileSystem::begin(SimOperation operation, const std::string& path) const {
  RUNNEL_TRY(powered(path));
  const auto bit = static_cast<std::uint32_t>(operation);
  if ((bit & kSimChanges) != 0) ++counters_.operations;
  if (!fault_ || (fault_->operations & bit) == 0 ||
      path.find(fault_->path_contains) == std::string::npos || --fault_->nth > 0) {
    return {};
  }
  struck_ = true;
  const Fault fault = *fault_;
  fault_->nth = 1;
  if (!fault.sticky) fault_.reset();
  if (fault.kind == FaultKind::kPowerOff) {
    disk_.power_cut(fault.cut);
    off_ = true;
    end_processes();
    return powered(path);
  }
  return fail(fault.kind == FaultKind::kLowSpace ? ErrorCode::kLowSpace : ErrorCode::kIo,
              std::string(fault.kind == FaultKind::kShortWrite ? "simulated short write: "
                                                               : "simulated fault: ") +
                  path);
}

Status SimFileSystem::check(const Handle& handle, bool writes) const {
  RUNNEL_TRY(powered(handle.path));
  if (handle.generation != generation_) {
    return fail(ErrorCode::kIo, "cannot use " + handle.path + ": its process is gone");
  }
  if (handle.node->is_directory || (writes && !handle.writable)) {
    return fail(ErrorCode::kIo, "cannot use " + handle.path +
                                    " so: " + (writes ? "not open for writing" : "a directory"));
  }
  return {};
}

std::uint64_t SimFileSystem::room() const {
  return capacity_ > disk_.used_bytes() ? capacity_ - disk_.used_bytes() : 0;
}

// ---- open files ----

Result<std::size_t> SimFileSystem::read(const Handle& handle, std::uint64_t position,
                                        MutableBytes into) const {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(check(handle, false));
  RUNNEL_TRY(begin(SimOperation::kRead, handle.path));
  const std::size_t size = handle.node->content.visible().read(position, into);
  counters_.bytes_read += size;
  return size;
}

Status SimFileSystem::write(const Handle& handle, std::uint64_t position, std::span<iovec> parts) {
  std::string bytes;
  for (const iovec& part : parts) {
    if (part.iov_len != 0) bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
    const auto address = reinterpret_cast<std::uintptr_t>(part.iov_base);
    if ((position | part.iov_len | address) % handle.block_bytes == 0) continue;
    return fail(ErrorCode::kIo, "cannot write " + handle.path + ": not aligned");
  }
  const MutexLock lock(mutex_);
  RUNNEL_TRY(check(handle, true));
  const bool short_write = fault_ && fault_->kind == FaultKind::kShortWrite;
  if (Status due = begin(SimOperation::kWrite, handle.path); !due) {
    if (!short_write) return due;
    bytes.resize(disk_.random()() % (bytes.size() + 1));
    RUNNEL_TRY(write_whole(handle, position, as_bytes(bytes)));
    return due;
  }
  return write_whole(handle, position, as_bytes(bytes));
}

Status SimFileSystem::write_whole(const Handle& handle, std::uint64_t position, Bytes bytes) {
  if (bytes.empty()) return {};
  const std::uint64_t size = handle.node->content.visible().size();
  const std::uint64_t limit = size + room();
  Bytes fits = bytes;
  if (position + bytes.size() > limit) {
    fits = bytes.first(static_cast<std::size_t>(position < limit ? limit - position : 0));
  }
  if (!fits.empty()) handle.node->content.write(position, fits);
  disk_.charge(*handle.node);
  counters_.bytes_written += fits.size();
  if (handle.block_bytes > 1) counters_.direct_bytes += fits.size();
  if (fits.size() == bytes.size()) return {};
  return fail(ErrorCode::kLowSpace, "cannot write " + handle.path + ": the simulated disk is full");
}

Status SimFileSystem::sync(const Handle& handle) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(check(handle, false));
  if (Status due = begin(SimOperation::kSync, handle.path); !due) {
    handle.node->content.sync_failed();
    return due;
  }
  ++counters_.syncs;
  if (!lying_) handle.node->content.sync();
  return {};
}

Status SimFileSystem::allocate(const Handle& handle, std::uint64_t size) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(check(handle, true));
  RUNNEL_TRY(begin(SimOperation::kAllocate, handle.path));
  const std::uint64_t before = handle.node->content.visible().size();
  if (size <= before) return {};
  if (size - before > room()) {
    return fail(ErrorCode::kLowSpace,
                "cannot allocate " + handle.path + ": the simulated disk is full");
  }
  handle.node->content.resize(size);
  disk_.charge(*handle.node);
  return {};
}

Status SimFileSystem::truncate(const Handle& handle, std::uint64_t size) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(check(handle, true));
  RUNNEL_TRY(begin(SimOperation::kTruncate, handle.path));
  handle.node->content.resize(size);
  disk_.charge(*handle.node);
  return {};
}

Result<std::uint64_t> SimFileSystem::size(const Handle& handle) const {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(check(handle, false));
  return handle.node->content.visible().size();
}

void SimFileSystem::close(const Handle& handle) {
  const MutexLock lock(mutex_);
  // The end of a process closed its files already.
  if (handle.generation == generation_) --handle.node->handles;
  disk_.charge(*handle.node);
}

void SimFileSystem::unlock(std::uint64_t node, std::uint64_t generation) {
  const MutexLock lock(mutex_);
  if (generation == generation_) locked_.erase(node);
}

// ---- names ----

Result<SimDisk::Place> SimFileSystem::existing(const std::string& path) const {
  RUNNEL_TRY_ASSIGN(auto place, disk_.find(path));
  if (!place.node) return fail(ErrorCode::kNotFound, "cannot find " + path);
  return place;
}

Result<std::shared_ptr<File>> SimFileSystem::open(const std::string& path, OpenMode mode) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kOpen, path));
  RUNNEL_TRY_ASSIGN(auto place, disk_.find(path));
  SimNodePtr node = place.node;
  if (!node && !mode.create) return fail(ErrorCode::kNotFound, "cannot open " + path + ": missing");
  if (node && mode.exclusive) return fail(ErrorCode::kIo, "cannot create " + path + ": it exists");
  if (node && node->is_directory && mode.write) {
    return fail(ErrorCode::kIo, "cannot open " + path + ": a directory");
  }
  if (!node) node = disk_.create(place, false);
  if (mode.truncate && node->content.visible().size() != 0) node->content.resize(0);
  ++node->handles;
  disk_.charge(*node);
  const std::size_t block = mode.direct && !refuses_direct_ ? kBlockBytes : 1;
  return std::make_shared<SimFile>(*this, node, generation_, mode.write, block, path);
}

Status SimFileSystem::rename(const std::string& from, const std::string& to) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kRename, to));
  RUNNEL_TRY_ASSIGN(const auto source, existing(from));
  RUNNEL_TRY_ASSIGN(const auto target, disk_.find(to));
  if (source.node == target.node) return {};
  if (target.node && (target.node->is_directory || source.node->is_directory)) {
    return fail(ErrorCode::kIo, "cannot rename " + from + " to " + to + ": it exists");
  }
  disk_.rename(source, target);
  return {};
}

Status SimFileSystem::remove(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kRemove, path));
  RUNNEL_TRY_ASSIGN(const auto place, existing(path));
  if (place.node->is_directory) {
    return fail(ErrorCode::kIo, "cannot remove " + path + ": a directory");
  }
  disk_.unlink(place);
  return {};
}

Status SimFileSystem::link(const std::string& from, const std::string& to) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kLink, to));
  RUNNEL_TRY_ASSIGN(const auto source, existing(from));
  RUNNEL_TRY_ASSIGN(const auto target, disk_.find(to));
  if (target.node || source.node->is_directory) {
    return fail(ErrorCode::kIo, "cannot link " + from + " to " + to);
  }
  disk_.link(target, source.node);
  return {};
}

Status SimFileSystem::create_directory(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kCreateDirectory, path));
  RUNNEL_TRY_ASSIGN(const auto place, disk_.find(path));
  if (place.node && place.node->is_directory) return {};
  if (place.node) return fail(ErrorCode::kIo, "cannot create directory " + path + ": a file");
  disk_.create(place, true);
  return {};
}

Status SimFileSystem::remove_directory(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kRemove, path));
  RUNNEL_TRY_ASSIGN(const auto place, existing(path));
  if (!place.node->is_directory || !place.node->names.empty() || place.node == disk_.root()) {
    return fail(ErrorCode::kIo, "cannot remove directory " + path + ": a file, or not empty");
  }
  disk_.unlink(place);
  return {};
}

Result<std::vector<DirectoryEntry>> SimFileSystem::list(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(powered(path));
  RUNNEL_TRY_ASSIGN(const auto place, existing(path));
  if (!place.node->is_directory) return fail(ErrorCode::kNotFound, "no directory " + path);
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, node] : place.node->names) {
    entries.push_back({.name = name, .is_directory = node->is_directory});
  }
  return entries;
}

bool SimFileSystem::exists(const std::string& path) {
  const MutexLock lock(mutex_);
  return !off_ && existing(path).has_value();
}

bool SimFileSystem::is_directory(const std::string& path) {
  const MutexLock lock(mutex_);
  const auto place = existing(path);
  return !off_ && place && place->node->is_directory;
}

Result<std::int64_t> SimFileSystem::modified(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(powered(path));
  RUNNEL_TRY_ASSIGN(const auto place, existing(path));
  return place.node->modified;
}

Status SimFileSystem::sync_directory(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(begin(SimOperation::kSyncDirectory, path));
  RUNNEL_TRY_ASSIGN(const auto place, existing(path));
  if (!place.node->is_directory) return fail(ErrorCode::kNotFound, "no directory " + path);
  ++counters_.directory_syncs;
  if (!lying_) disk_.persist(*place.node, place.node->pending.size());
  return {};
}

Result<std::unique_ptr<FileLock>> SimFileSystem::lock(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(powered(path));
  if (read_only_) return fail(ErrorCode::kIo, "cannot open the lock file " + path + ": read-only");
  RUNNEL_TRY_ASSIGN(const auto place, disk_.find(path));
  const SimNodePtr node = place.node ? place.node : disk_.create(place, false);
  const std::string pid = std::to_string(::getpid());
  if (!locked_.insert(node->id).second) {
    return fail(ErrorCode::kLocked, "cannot lock " + path + ": this process has it open already");
  }
  node->content.resize(0);
  node->content.write(0, as_bytes(pid + "\n"));
  disk_.charge(*node);
  return std::make_unique<SimLock>(*this, node->id, generation_);
}

Result<SpaceInfo> SimFileSystem::space(const std::string& path) {
  const MutexLock lock(mutex_);
  RUNNEL_TRY(powered(path));
  RUNNEL_TRY(existing(path));
  return SpaceInfo{.total_bytes = capacity_, .available_bytes = room(), .read_only = read_only_};
}

}  // namespace runnel::storage
