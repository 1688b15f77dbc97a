#include "broker/http/deadlines.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace runnel::broker::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(Deadlines, AreCalledInTheOrderOfTheirTimes) {
  std::vector<int> called;
  std::promise<void> last;
  Deadlines deadlines;
  const auto now = steady_clock::now();
  static_cast<void>(deadlines.set(now + milliseconds(30), [&] {
    called.push_back(2);
    last.set_value();
  }));
  static_cast<void>(deadlines.set(now + milliseconds(10), [&] { called.push_back(1); }));
  const auto never = deadlines.set(now + milliseconds(20), [&] { called.push_back(3); });
  deadlines.cancel(never);
  deadlines.cancel(never);
  last.get_future().get();
  EXPECT_EQ(called, (std::vector<int>{1, 2}));
}

TEST(Deadlines, TheEndCallsNothing) {
  bool called = false;
  {
    Deadlines deadlines;
    static_cast<void>(
        deadlines.set(steady_clock::now() + std::chrono::hours(1), [&] { called = true; }));
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace runnel::broker::http
