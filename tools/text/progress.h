// Progress of long work, on standard error: a bar on a terminal, a plain line now and then off it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace runnel::tools {

class Progress {
 public:
  /// `total` in `unit` ("records", or "bytes", which are shown as MiB); 0: not known.
  Progress(std::string label, std::uint64_t total, std::string unit);
  /// Ends the bar's line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Cheap to call often; shows something only when enough time has passed.
  void update(std::uint64_t done);

 private:
  [[nodiscard]] std::string amount(std::uint64_t value) const;
  [[nodiscard]] std::string line(std::uint64_t done, double seconds) const;

  std::string label_;
  std::uint64_t total_;
  std::string unit_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace runnel::tools
