// Clang's thread-safety annotations; nothing to other compilers. ./dev lint builds with clang.
#pragma once

#include <mutex>

#if defined(__clang__)
#define RUNNEL_TSA(x) __attribute__((x))
#else
#define RUNNEL_TSA(x)
#endif

#define RUNNEL_GUARDED_BY(m) RUNNEL_TSA(guarded_by(m))
#define RUNNEL_REQUIRES(...) RUNNEL_TSA(requires_capability(__VA_ARGS__))
#define RUNNEL_EXCLUDES(...) RUNNEL_TSA(locks_excluded(__VA_ARGS__))
#define RUNNEL_NO_THREAD_SAFETY_ANALYSIS RUNNEL_TSA(no_thread_safety_analysis)

namespace runnel {

/// std::mutex with annotations. Use with MutexLock.
class RUNNEL_TSA(capability("mutex")) Mutex {
 public:
  void lock() RUNNEL_TSA(acquire_capability()) { m_.lock(); }
  void unlock() RUNNEL_TSA(release_capability()) { m_.unlock(); }
  [[nodiscard]] bool try_lock() RUNNEL_TSA(try_acquire_capability(true)) { return m_.try_lock(); }

 private:
  std::mutex m_;
};

/// Holds a Mutex for a scope. Also a BasicLockable, so std::condition_variable_any can wait on it.
class RUNNEL_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& m) RUNNEL_TSA(acquire_capability(m)) : m_(m) { m_.lock(); }
  ~MutexLock() RUNNEL_TSA(release_capability()) { m_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  /// For condition variables only.
  void lock() RUNNEL_NO_THREAD_SAFETY_ANALYSIS { m_.lock(); }
  void unlock() RUNNEL_NO_THREAD_SAFETY_ANALYSIS { m_.unlock(); }

 private:
  Mutex& m_;
};

}  // namespace runnel
