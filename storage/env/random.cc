#include "storage/env/random.h"

#include <sys/random.h>

#include <cerrno>

#include "protocol/base/assert.h"

namespace runnel::storage {
namespace {

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override {
    std::uint64_t bits = 0;
    ssize_t got = 0;
    do {
      got = ::getrandom(&bits, sizeof bits, 0);
    } while (got < 0 && errno == EINTR);
    // The kernel hands out up to 256 bytes whole or fails; without randomness ids could collide.
    RUNNEL_ASSERT(got == static_cast<ssize_t>(sizeof bits));
    return bits;
  }
};

}  // namespace

Random& Random::system() {
  static auto& random = *new SystemRandom;
  return random;
}

}  // namespace runnel::storage
