// The other side of a floor, in a process of its own, so that only the server's CPU is counted.
#pragma once

#include <sys/types.h>

#include <functional>

#include "protocol/base/error.h"

namespace runnel::bench {

class ChildProcess {
 public:
  /// Runs `work` in a fork of this process, which must not have started a thread yet.
  [[nodiscard]] static Result<ChildProcess> start(const std::function<Status()>& work);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  /// Ends the child if it still runs.
  ~ChildProcess();
  /// Waits for its end; an error if its work failed (it said why on standard error).
  [[nodiscard]] Status wait();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;
};

/// work(0), work(1), ... on a thread each; the first error, if there is any.
[[nodiscard]] Status on_threads(unsigned count, const std::function<Status(unsigned)>& work);

}  // namespace runnel::bench
