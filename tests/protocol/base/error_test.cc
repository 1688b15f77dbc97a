#include "protocol/base/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace runnel {
namespace {

constexpr std::uint16_t kLastCode = 59;

TEST(ErrorCodes, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::uint16_t i = 0; i <= kLastCode; ++i) {
    const std::string_view name = name_of(static_cast<ErrorCode>(i));
    EXPECT_NE(name, "unknown") << i;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos)
        << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), kLastCode + 1u);
}

TEST(ErrorCodes, NumbersOnTheWireStayAsTheyAre) {
  EXPECT_EQ(static_cast<int>(ErrorCode::kMalformed), 3);
  EXPECT_EQ(static_cast<int>(ErrorCode::kCorrupt), 5);
  EXPECT_EQ(static_cast<int>(ErrorCode::kOffsetOutOfRange), 15);
  EXPECT_EQ(static_cast<int>(ErrorCode::kFenced), 21);
  EXPECT_EQ(static_cast<int>(ErrorCode::kOverloaded), 29);
  EXPECT_EQ(static_cast<int>(ErrorCode::kNotFound), 38);
  EXPECT_EQ(static_cast<int>(ErrorCode::kUnstableOffsetCommit), kLastCode);
}

TEST(ErrorCodes, NumbersOfANewerVersionArePermanentAndUnknown) {
  for (const std::uint16_t code : {std::uint16_t{1000}, std::uint16_t{65535}}) {
    EXPECT_EQ(name_of(static_cast<ErrorCode>(code)), "unknown");
    EXPECT_EQ(action_of(static_cast<ErrorCode>(code)), ErrorAction::kPermanent);
  }
}

TEST(ErrorCodes, ActionsSayWhatACallerMayDo) {
  for (const ErrorCode code :
       {ErrorCode::kLowSpace, ErrorCode::kOverloaded, ErrorCode::kShuttingDown}) {
    EXPECT_EQ(action_of(code), ErrorAction::kRetry) << name_of(code);
  }
  for (const ErrorCode code :
       {ErrorCode::kTimeout, ErrorCode::kDisconnected, ErrorCode::kIo, ErrorCode::kInternal}) {
    EXPECT_EQ(action_of(code), ErrorAction::kMaybePersisted) << name_of(code);
  }
  EXPECT_EQ(action_of(ErrorCode::kUnknownTopic), ErrorAction::kRefresh);
  EXPECT_EQ(action_of(ErrorCode::kMalformed), ErrorAction::kPermanent);
  EXPECT_EQ(name_of(ErrorAction::kRetry), "retry");
  EXPECT_EQ(name_of(ErrorAction::kRefresh), "refresh");
  EXPECT_EQ(name_of(ErrorAction::kPermanent), "permanent");
  EXPECT_EQ(name_of(ErrorAction::kMaybePersisted), "maybe_persisted");
  EXPECT_EQ(name_of(static_cast<ErrorAction>(9)), "unknown");
}

TEST(Error, KeepsItsCodeWithinAContext) {
  const Error inner(ErrorCode::kMalformed, "length is -1");
  const Error outer = inner.within("batch 3");
  EXPECT_EQ(outer.code(), ErrorCode::kMalformed);
  EXPECT_EQ(outer.message(), "batch 3: length is -1");
  EXPECT_EQ(outer.to_string(), "malformed: batch 3: length is -1");
  EXPECT_EQ(outer.action(), ErrorAction::kPermanent);
}

Result<int> half(int v) {
  if (v % 2 != 0) return fail(ErrorCode::kInvalidArgument, std::to_string(v) + " is odd");
  return v / 2;
}
Result<int> quarter(int v) {
  RUNNEL_TRY_ASSIGN(const int h, half(v));
  RUNNEL_TRY_ASSIGN(const int q, half(h));
  return q;
}
Status check(int v, int& calls) {
  RUNNEL_TRY((++calls, half(v)));
  return {};
}
Result<std::unique_ptr<int>> moved() {
  RUNNEL_TRY_ASSIGN(auto p, Result<std::unique_ptr<int>>(std::make_unique<int>(7)));
  return p;
}

TEST(Try, GivesTheValueOrPassesTheErrorOn) {
  EXPECT_EQ(quarter(12), 3);
  ASSERT_FALSE(quarter(6));
  EXPECT_EQ(quarter(6).error().message(), "3 is odd");
  EXPECT_EQ(quarter(5).error().message(), "5 is odd");
  EXPECT_EQ(**moved(), 7);
}

TEST(Try, EvaluatesItsExpressionOnce) {
  int calls = 0;
  EXPECT_TRUE(check(2, calls));
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(check(3, calls));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace runnel
