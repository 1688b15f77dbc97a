#include "protocol/record_batch/crc32c.h"

#include "tests/protocol/record_batch/samples.h"

namespace runnel::protocol {
namespace {

/// The definition: bit by bit, with the reflected polynomial.
std::uint32_t by_definition(Bytes bytes) {
  std::uint32_t r = 0xffffffff;
  for (const std::byte b : bytes) {
    r ^= static_cast<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~r;
}

struct Known {
  std::string bytes;
  std::uint32_t crc;
};

// The check value of the Castagnoli polynomial and the examples of RFC 3720, appendix B.4.
std::vector<Known> known_values() {
  std::string up(32, '\0'), down(32, '\0');
  for (int i = 0; i < 32; ++i) {
    up[static_cast<std::size_t>(i)] = static_cast<char>(i);
    down[static_cast<std::size_t>(i)] = static_cast<char>(31 - i);
  }
  return {{"", 0},
          {"123456789", 0xe3069283},
          {std::string(32, '\0'), 0x8a9136aa},
          {std::string(32, '\xff'), 0x62a8ab43},
          {up, 0x46dd794e},
          {down, 0x113fdb5c}};
}

TEST(Crc32c, KnownValues) {
  for (const Known& known : known_values()) {
    EXPECT_EQ(crc32c(as_bytes(known.bytes)), known.crc) << known.bytes.size();
    EXPECT_EQ(crc32c_portable(as_bytes(known.bytes)), known.crc) << known.bytes.size();
    EXPECT_EQ(by_definition(as_bytes(known.bytes)), known.crc) << known.bytes.size();
  }
}

TEST(Crc32c, BothFormsFollowTheDefinitionAtEveryLengthAndAlignment) {
  std::mt19937_64 engine(1);
  const std::string text = random_text(engine, 1024);
  const Bytes bytes = as_bytes(text);
  for (std::size_t shift = 0; shift < 8; ++shift) {
    for (std::size_t size = 0; size <= 300; ++size) {
      const Bytes part = bytes.subspan(shift, size);
      const std::uint32_t expected = by_definition(part);
      ASSERT_EQ(crc32c(part), expected) << size << " bytes from " << shift;
      ASSERT_EQ(crc32c_portable(part), expected) << size << " bytes from " << shift;
    }
  }
}

TEST(Crc32c, BothFormsAgreeAroundTheLanesOfTheFastOne) {
  std::mt19937_64 engine(2);
  const std::string text = random_text(engine, 64 << 10);
  const Bytes bytes = as_bytes(text);
  for (const std::size_t border : {768u, 2 * 768u, 12'288u, 12'288u + 768u, 2 * 12'288u}) {
    for (std::size_t size = border - 17; size <= border + 17; ++size) {
      for (const std::size_t shift : {0u, 1u, 7u}) {
        const Bytes part = bytes.subspan(shift, size);
        ASSERT_EQ(crc32c(part), crc32c_portable(part)) << size << " bytes from " << shift;
      }
    }
  }
}

TEST(Crc32c, BothFormsAgreeOnRandomRangesAndSeeds) {
  for_each_engine(100, 20, [](std::mt19937_64& engine) {
    const std::string text = random_text(engine, 70'000);
    for (int i = 0; i < 50; ++i) {
      const std::size_t from = up_to(engine, text.size());
      const Bytes part = as_bytes(text).subspan(from, up_to(engine, text.size() - from));
      const auto seed = static_cast<std::uint32_t>(engine());
      ASSERT_EQ(crc32c(part, seed), crc32c_portable(part, seed)) << part.size() << " from " << from;
    }
  });
}

TEST(Crc32c, ASeedContinuesAnEarlierResult) {
  std::mt19937_64 engine(3);
  const std::string text = random_text(engine, 20'000);
  const Bytes bytes = as_bytes(text);
  const std::uint32_t whole = crc32c(bytes);
  for (const std::size_t cut : {0u, 1u, 8u, 767u, 768u, 12'288u, 19'999u, 20'000u}) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), whole) << cut;
    EXPECT_EQ(crc32c_portable(bytes.subspan(cut), crc32c_portable(bytes.first(cut))), whole) << cut;
  }
}

#if defined(__x86_64__)
TEST(Crc32c, UsesTheInstructionWhereTheProcessorHasIt) {
  EXPECT_EQ(crc32c_is_accelerated(), __builtin_cpu_supports("sse4.2") != 0);
}
#endif

}  // namespace
}  // namespace runnel::protocol
