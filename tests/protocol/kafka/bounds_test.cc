// Lengths and counts that lie: no crash, and little memory.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "protocol/kafka/api_versions.h"
#include "protocol/kafka/join_group.h"
#include "protocol/kafka/metadata.h"
#include "tests/protocol/kafka/any_message.h"

namespace {
/// All that this thread has ever allocated.
thread_local std::size_t allocated_bytes = 0;
}  // namespace

void* operator new(std::size_t size) {
  void* const p = std::malloc(size);
  if (p == nullptr) throw std::bad_alloc();
  allocated_bytes += size;
  return p;
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}

namespace runnel::protocol::kafka {
namespace {

using storage::for_each_seed;
using storage::SeededRandom;

/// The text of an error.
constexpr std::size_t kErrorBytes = 2048;

/// Decodes, and expects that no more was allocated than is promised.
void check_bounded(const AnyMessage& message, Bytes body, std::int16_t version) {
  const std::size_t before = allocated_bytes;
  const Status status = message.check(body, version);
  const std::size_t taken = allocated_bytes - before;
  ASSERT_LE(taken, 2 * body.size() + kDecodeSlackBytes + kErrorBytes);
  ASSERT_TRUE(status || status.error().code() == ErrorCode::kMalformed);
}

std::vector<std::string> lies() {
  std::vector<std::string> all;
  for (const std::int32_t v : {0, -1, -2, INT32_MAX, INT32_MIN, 20'000'000, 60'000}) {
    all.push_back(ByteWriter().be(v).take());
    all.push_back(ByteWriter().uvarint(static_cast<std::uint32_t>(v)).take());
  }
  for (const std::int16_t v : {0, -1, -2, INT16_MAX, INT16_MIN}) {
    all.push_back(ByteWriter().be(v).take());
  }
  all.emplace_back(5, '\xff');
  all.emplace_back(16, '\xff');
  return all;
}

std::string overwritten(const std::string& body, std::size_t at, const std::string& by) {
  std::string changed = body;
  return changed.replace(at, std::min(by.size(), body.size() - at), by);
}

TEST(KafkaBounds, LiesAnywhereAreSurvived) {
  for_each_seed(1, 2, [](std::uint64_t seed) {
    SeededRandom random(seed);
    const std::vector<std::string> all = lies();
    for_each_message([&](const AnyMessage& message, std::int16_t version) {
      const std::string body = message.fill(random, version);
      for (std::size_t at = 0; at < body.size(); ++at) {
        for (const std::string& lie : all) {
          const std::string changed = overwritten(body, at, lie);
          check_bounded(message, as_bytes(changed), version);
          if (::testing::Test::HasFatalFailure()) FAIL() << "at " << at;
        }
      }
    });
  });
}

// So many bytes follow that a count of millions is possible.
TEST(KafkaBounds, LargeBodiesAreBoundedByTheirSize) {
  SeededRandom random(1);
  const std::string tail(4u << 20, '\0');
  for (const AnyMessage& message : all_messages()) {
    const std::int16_t version = message.info().max_version;
    const std::string body = message.fill(random, version).substr(0, 60);
    for (std::size_t at = 0; at < body.size(); ++at) {
      std::string changed = overwritten(body, at, ByteWriter().uvarint(4u << 20).take());
      if (!message.info().is_flexible(version)) {
        changed = overwritten(body, at, ByteWriter().be(4 << 20).take());
      }
      changed += tail;
      check_bounded(message, as_bytes(changed), version);
      if (::testing::Test::HasFatalFailure()) FAIL() << message.name() << " at " << at;
    }
  }
}

TEST(KafkaBounds, ManySmallElementsAreRefusedBeforeTheyTakeMemory) {
  // Empty protocols: 3 bytes each here, many times as much in memory.
  const std::uint32_t count = 4'000'000;
  ByteWriter body;
  body.uvarint(2).raw(as_bytes("g")).be(std::int32_t{1}).be(std::int32_t{1});
  body.uvarint(1).uvarint(0).uvarint(1).uvarint(count + 1);
  body.str().append(std::string(std::size_t{count} * 3, '\1'));
  const std::size_t before = allocated_bytes;
  const auto request = decode<JoinGroupRequest>(body.bytes(), 9);
  ASSERT_FALSE(request);
  EXPECT_NE(request.error().message().find("unfolds"), std::string::npos)
      << request.error().message();
  EXPECT_LE(allocated_bytes - before, 2 * body.size());
}

TEST(KafkaBounds, MoreElementsThanBytesAreRefusedAtOnce) {
  for (const std::int32_t count : {5, 60'000, INT32_MAX}) {
    ByteWriter body;
    body.be(count).raw(as_bytes("four"));
    const std::size_t before = allocated_bytes;
    const auto request = decode<MetadataRequest>(body.bytes(), 1);
    ASSERT_FALSE(request) << count;
    EXPECT_LE(allocated_bytes - before, kErrorBytes);
    EXPECT_NE(request.error().message().find("exceeds the bytes"), std::string::npos);
  }
}

TEST(KafkaBounds, ManyTopicsAreNotRefused) {
  MetadataRequest request;
  request.topics.emplace();
  for (int i = 0; i < 100'000; ++i) {
    request.topics->emplace_back().name = "topic-" + std::to_string(i);
  }
  for (const std::int16_t version : {1, 9, 12}) {
    const auto again = decode<MetadataRequest>(as_bytes(encode_body(version, request)), version);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(again->topics->back().name, "topic-99999");
  }
}

TEST(KafkaBounds, MillionsOfTaggedFieldsTakeNoMemory) {
  constexpr std::uint32_t kCount = 20'000'000;
  ByteWriter body;
  body.text("").text("").uvarint(kCount);
  body.str()[0] = body.str()[1] = '\1';  // compact empty strings
  const std::string head(body.str());
  const auto announced = decode<ApiVersionsRequest>(as_bytes(head), 3);
  ASSERT_FALSE(announced);
  EXPECT_NE(announced.error().message().find("more tagged fields"), std::string::npos);
  for (std::uint32_t i = 0; i < kCount; ++i) body.str().append("\x7f\0", 2);
  const std::size_t before = allocated_bytes;
  const auto request = decode<ApiVersionsRequest>(body.bytes(), 3);
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(allocated_bytes, before);
  body.str().pop_back();
  EXPECT_FALSE(decode<ApiVersionsRequest>(body.bytes(), 3));
}

}  // namespace
}  // namespace runnel::protocol::kafka
