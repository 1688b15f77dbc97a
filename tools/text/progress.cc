#include "tools/text/progress.h"

#include <unistd.h>

#include <cstdio>

#include "protocol/text/units.h"

namespace runnel::tools {
namespace {

constexpr std::chrono::milliseconds kBarPeriod{200};
constexpr std::chrono::seconds kLinePeriod{5};
constexpr std::size_t kBarWidth = 24;

}  // namespace

Progress::Progress(std::string label, std::uint64_t total, std::string unit)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      next_(start_ + (terminal_ ? std::chrono::milliseconds(kBarPeriod) : kLinePeriod)) {}

Progress::~Progress() {
  if (terminal_ && shown_) std::fputs("\r\x1b[K", stderr);
}

std::string Progress::amount(std::uint64_t value) const {
  if (unit_ == "bytes") return protocol::human_size(static_cast<double>(value));
  return std::to_string(value);
}

std::string Progress::line(std::uint64_t done, double seconds) const {
  const double rate = static_cast<double>(done) / (seconds > 0 ? seconds : 1);
  std::string out = label_ + "  ";
  if (total_ > 0) {
    const double share = static_cast<double>(done) / static_cast<double>(total_);
    if (terminal_) {
      const auto filled = static_cast<std::size_t>(share * kBarWidth);
      out += '[' + std::string(filled, '#') + std::string(kBarWidth - filled, ' ') + "]  ";
    }
    out += std::to_string(static_cast<int>(share * 100)) + "%  " + amount(done) + " of " +
           amount(total_);
  } else {
    out += amount(done);
  }
  if (unit_ != "bytes") out += ' ' + unit_;
  out += "  " + amount(static_cast<std::uint64_t>(rate)) + "/s";
  if (total_ > done && rate > 0) {
    const double left = static_cast<double>(total_ - done) / rate;
    out += "  " + std::to_string(static_cast<std::uint64_t>(left) + 1) + "s left";
  }
  return out;
}

void Progress::update(std::uint64_t done) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? std::chrono::milliseconds(kBarPeriod) : kLinePeriod);
  if (total_ > 0 && done > total_) done = total_;
  const std::string text = line(done, std::chrono::duration<double>(now - start_).count());
  std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace runnel::tools
