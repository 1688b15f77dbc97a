// What every measurement here shares: clocks, a list of figures, errors of system calls.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/histogram.h"

namespace runnel::bench {

using SteadyClock = std::chrono::steady_clock;

/// errno as an error: "what: cause".
[[nodiscard]] inline tl::unexpected<Error> system_error(const std::string& what) {
  return fail(ErrorCode::kIo, what + ": " + std::strerror(errno));
}

/// User and system time of this process, all threads, in seconds.
[[nodiscard]] inline double process_cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[nodiscard]] inline std::uint64_t nanos_since(SteadyClock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(SteadyClock::now() - start).count());
}

/// `size` bytes that neither compress to nothing nor depend on chance.
[[nodiscard]] inline std::string filler(std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t state = 0x9E3779B97F4A7C15ULL;
  for (char& c : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>('!' + state % 90);
  }
  return out;
}

/// Wall and CPU time from its construction to stop().
class Stopwatch {
 public:
  void stop() {
    seconds_ = std::chrono::duration<double>(SteadyClock::now() - start_).count();
    cpu_seconds_ = process_cpu_seconds() - cpu_start_;
  }
  [[nodiscard]] double seconds() const { return seconds_; }
  [[nodiscard]] double cpu_seconds() const { return cpu_seconds_; }

 private:
  SteadyClock::time_point start_ = SteadyClock::now();
  double cpu_start_ = process_cpu_seconds();
  double seconds_ = 0;
  double cpu_seconds_ = 0;
};

/// A measurement's figures in the order they are shown; one JSON object, or a line each.
class Figures {
 public:
  void add(std::string name, const std::string& text) {
    rows_.emplace_back(std::move(name), '"' + text + '"');
  }
  void add(std::string name, const char* text) { add(std::move(name), std::string(text)); }
  void add(std::string name, std::uint64_t value) {
    rows_.emplace_back(std::move(name), std::to_string(value));
  }
  void add(std::string name, double value) {
    char text[48];
    std::snprintf(text, sizeof text, "%.4g", value);
    rows_.emplace_back(std::move(name), text);
  }
  /// Bytes over time, in the units every benchmark here uses: MB are 10^6 bytes, GB 10^9.
  void add_throughput(std::uint64_t bytes, double seconds) {
    add("bytes", bytes);
    add("seconds", seconds);
    add("mb_per_second", static_cast<double>(bytes) / seconds / 1e6);
  }
  void add_cpu(std::uint64_t bytes, double cpu_seconds) {
    add("cpu_seconds", cpu_seconds);
    add("cpu_seconds_per_gb", cpu_seconds / (static_cast<double>(bytes) / 1e9));
  }
  void add_latency(const Histogram& nanos) {
    const auto micros = [](std::uint64_t n) { return static_cast<double>(n) / 1000; };
    add("latency_p50_us", micros(nanos.value_at(50)));
    add("latency_p99_us", micros(nanos.value_at(99)));
    add("latency_max_us", micros(nanos.max()));
  }

  void print(bool json) const {
    if (json) std::printf("{");
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto& [name, value] = rows_[i];
      if (json) {
        std::printf("%s\"%s\": %s", i > 0 ? ", " : "", name.c_str(), value.c_str());
      } else {
        std::printf("%-24s %s\n", name.c_str(), value.c_str());
      }
    }
    if (json) std::printf("}\n");
  }

 private:
  std::vector<std::pair<std::string, std::string>> rows_;
};

}  // namespace runnel::bench
