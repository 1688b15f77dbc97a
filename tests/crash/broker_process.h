// A real `runnel serve` for tests that kill it.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/assert.h"

extern char** environ;  // NOLINT

namespace runnel {

/// One process. Not thread safe. The destructor kills it.
class BrokerProcess {
 public:
  using Clock = std::chrono::steady_clock;

  /// Starts `binary serve --data directory --listen address` and `more`, without RUNNEL_* in its
  /// environment.
  BrokerProcess(const std::string& binary, const std::string& directory, const std::string& address,
                const std::vector<std::string>& more = {}) {
    std::array<int, 2> ends{};
    RUNNEL_ASSERT(pipe2(ends.data(), O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    std::vector<std::string> words = {binary, "serve", "--data", directory, "--listen", address};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& w : words) arguments.push_back(w.data());
    arguments.push_back(nullptr);
    std::vector<char*> environment;
    for (char** e = environ; *e != nullptr; ++e) {
      if (!std::string_view(*e).starts_with("RUNNEL_")) environment.push_back(*e);
    }
    environment.push_back(nullptr);
    started_ = Clock::now();
    const int error =
        posix_spawn(&pid_, binary.c_str(), &actions, nullptr, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    log_fd_ = ends[0];
    RUNNEL_ASSERT(error == 0);
  }
  ~BrokerProcess() {
    kill_now();
    ::close(log_fd_);
  }
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  [[nodiscard]] Clock::time_point started() const { return started_; }
  [[nodiscard]] const std::string& log() const { return log_; }

  /// The address it listens on, or "" if it ended or `patience` passed before it said so.
  [[nodiscard]] std::string wait_for_address(std::chrono::milliseconds patience) {
    constexpr std::string_view kSaid = "listening on ";
    const auto deadline = Clock::now() + patience;
    while (true) {
      if (const auto at = log_.find(kSaid); at != std::string::npos) {
        const auto from = at + kSaid.size();
        const auto end = log_.find_first_of(" \n", from);
        if (end != std::string::npos) return log_.substr(from, end - from);
      }
      if (!read_log(deadline)) return "";
    }
  }
  /// Reads what it says until it ends or `time` passes.
  void watch(std::chrono::milliseconds time) {
    const auto deadline = Clock::now() + time;
    while (read_log(deadline)) {
    }
  }
  /// SIGKILL, and waits until it is gone.
  void kill_now() { end(SIGKILL); }
  /// Sends `signal`, waits for the end; the exit code, or -1 if a signal ended it.
  int end(int signal) {
    if (pid_ <= 0) return -1;
    ::kill(pid_, signal);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    while (read_log(Clock::now())) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  /// False if nothing came until the deadline or the process has closed its log.
  bool read_log(Clock::time_point deadline) {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    pollfd waits{log_fd_, POLLIN, 0};
    const int ready = ::poll(&waits, 1, static_cast<int>(std::max(left, milliseconds(0)).count()));
    if (ready <= 0) return false;
    std::array<char, 4096> piece{};
    const auto got = ::read(log_fd_, piece.data(), piece.size());
    if (got <= 0) return false;
    log_.append(piece.data(), static_cast<std::size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  int log_fd_ = -1;
  std::string log_;
  Clock::time_point started_;
};

}  // namespace runnel
