// Assertions that stay on in Release: a broken invariant stops the process before it can lie.
#pragma once

namespace runnel {

/// Prints the condition and its place to standard error and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace runnel

#define RUNNEL_ASSERT(condition)                     \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::runnel::assertion_failed(#condition, __FILE__, __LINE__))
