#include "protocol/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace runnel {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr,
               "runnel: invariant broken: %s (%s:%d); stopping so that nothing wrong is "
               "served\n",
               condition, file, line);
  std::abort();
}

}  // namespace runnel
