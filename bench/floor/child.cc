#include "bench/floor/child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

#include "bench/measure.h"

namespace runnel::bench {

Result<ChildProcess> ChildProcess::start(const std::function<Status()>& work) {
  const pid_t pid = ::fork();
  if (pid < 0) return system_error("fork");
  if (pid > 0) return ChildProcess(pid);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const Status done = work();
  if (!done) std::fprintf(stderr, "load: %s\n", done.error().message().c_str());
  ::_exit(done ? 0 : 1);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

ChildProcess::~ChildProcess() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Status ChildProcess::wait() {
  int state = 0;
  if (::waitpid(std::exchange(pid_, 0), &state, 0) < 0) return system_error("waitpid");
  if (state != 0) return fail(ErrorCode::kInternal, "the load's process failed");
  return {};
}

Status on_threads(unsigned count, const std::function<Status(unsigned)>& work) {
  std::vector<Status> results(count);
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < count; ++i) {
      threads.emplace_back([&results, &work, i] { results[i] = work(i); });
    }
  }
  for (const Status& result : results) RUNNEL_TRY(result);
  return {};
}

}  // namespace runnel::bench
