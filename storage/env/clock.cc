#include "storage/env/clock.h"

namespace runnel::storage {
namespace {

class SystemClock final : public Clock {
 public:
  Timestamp now() override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
  }
  std::chrono::nanoseconds monotonic() override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
};

}  // namespace

Clock& Clock::system() {
  static auto& clock = *new SystemClock;
  return clock;
}

}  // namespace runnel::storage
