// Where the standard library finds no memory, work on views ends with an error and not the process:
// what a view computes can be computed again, and a question asked again.
#pragma once

#include <new>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::storage::views {

[[nodiscard]] inline Error no_memory_for(std::string_view what) {
  return Error(ErrorCode::kOverloaded,
               "there was no memory for " + std::string(what) +
                   "; try again later, ask for less, or give the machine more memory");
}

/// What `work`, which returns a Result or a Status, returns; kOverloaded where it ran out of
/// memory. Whatever it was changing is to be dropped then.
template <class Work>
[[nodiscard]] auto within_memory(std::string_view what, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return tl::unexpected<Error>(no_memory_for(what));
  }
}

}  // namespace runnel::storage::views
