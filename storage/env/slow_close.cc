#include "storage/env/slow_close.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <thread>

#include "protocol/base/thread_annotations.h"

namespace runnel::storage {
namespace {

constexpr long kPageBytes = 4096;  // of which kFreedAtOnce holds

/// Between two cuts: a step takes about one millisecond, so that four of five are the others'.
constexpr std::chrono::milliseconds kPause{4};

/// With more files than these waiting there are no pauses: space is wanted back, and every file is
/// a descriptor.
constexpr std::size_t kPatience = 8;

std::uint64_t size_of(int descriptor) {
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

bool has_name(int descriptor) {
  struct stat info {};
  return ::fstat(descriptor, &info) != 0 || info.st_nlink != 0;
}

/// Linux gives a write lease only for a file that is open nowhere else, in no process.
bool is_open_elsewhere(int descriptor) {
  if (::fcntl(descriptor, F_SETLEASE, F_WRLCK) != 0) return true;
  return ::fcntl(descriptor, F_SETLEASE, F_UNLCK) != 0;
}

class SlowCloser {
 public:
  void add(int descriptor) {
    MutexLock lock(mutex_);
    if (!started_) std::thread([this] { work(); }).detach();
    started_ = true;
    waiting_.push_back(descriptor);  // or it throws, and nothing of it is kept
    changed_.notify_one();
  }

 private:
  [[noreturn]] void work() {
    while (true) {
      int descriptor = -1;
      {
        MutexLock lock(mutex_);
        while (waiting_.empty()) changed_.wait(lock);
        descriptor = waiting_.front();
      }
      empty(descriptor);
      ::close(descriptor);
      MutexLock lock(mutex_);
      waiting_.pop_front();
    }
  }
  void empty(int descriptor) {
    std::uint64_t bytes = size_of(descriptor);
    while (bytes > kFreedAtOnce) {
      bytes = (bytes - 1) / kFreedAtOnce * kFreedAtOnce;
      // Where that fails closing frees the rest.
      if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) return;
      if (is_patient()) std::this_thread::sleep_for(kPause);
    }
  }
  bool is_patient() {
    MutexLock lock(mutex_);
    return waiting_.size() <= kPatience;
  }

  Mutex mutex_;
  std::condition_variable_any changed_;
  bool started_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::deque<int> waiting_ RUNNEL_GUARDED_BY(mutex_);  ///< the first is being emptied
};

}  // namespace

void close_slowly(int descriptor) {
  // Never destroyed: its thread outlives whoever calls.
  static auto* const closer = new SlowCloser;
  const bool in_steps = ::sysconf(_SC_PAGESIZE) == kPageBytes &&
                        size_of(descriptor) > kFreedAtOnce && !has_name(descriptor) &&
                        !is_open_elsewhere(descriptor);
  try {
    if (in_steps) return closer->add(descriptor);
  } catch (const std::exception&) {
    // No thread or no memory to be had: all at once, then.
  }
  ::close(descriptor);
}

}  // namespace runnel::storage
