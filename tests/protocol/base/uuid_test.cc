#include "protocol/base/uuid.h"

#include <gtest/gtest.h>

#include <set>

namespace runnel {
namespace {

TEST(Uuid, TextIsUrlSafeBase64) {
  EXPECT_EQ(Uuid{}.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
  Uuid all;
  all.bytes.fill(0xff);
  EXPECT_EQ(all.to_string(), "_____________________w");
  Uuid counting;
  for (std::uint8_t i = 0; i < 16; ++i) counting.bytes[i] = i;
  EXPECT_EQ(counting.to_string(), "AAECAwQFBgcICQoLDA0ODw");
}

TEST(Uuid, MakesTheRoundTrip) {
  std::uint64_t state = 1;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const Uuid id = Uuid::from_random(state, ~state * 31);
    const std::string text = id.to_string();
    EXPECT_EQ(text.size(), 22u);
    const auto parsed = Uuid::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, id);
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Uuid, RandomOnesSayVersionFour) {
  for (const std::uint64_t bits : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    const Uuid id = Uuid::from_random(bits, bits);
    EXPECT_EQ(id.bytes[6] >> 4, 4);
    EXPECT_EQ(id.bytes[8] >> 6, 2);
    EXPECT_FALSE(id.is_zero());
  }
  EXPECT_EQ(Uuid::from_random(0x0102030405060708, 0).bytes[0], 1) << "the high bits come first";
  EXPECT_TRUE(Uuid{}.is_zero());
}

TEST(Uuid, EveryOtherTextIsRefused) {
  const std::string good = "AAECAwQFBgcICQoLDA0ODw";
  ASSERT_TRUE(Uuid::parse(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Uuid::parse(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(Uuid::parse(good + "A"));
  for (const char wrong : {'=', '+', '/', ' ', '\0', '\xff'}) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string text = good;
      text[at] = wrong;
      const auto parsed = Uuid::parse(text);
      ASSERT_FALSE(parsed) << text;
      EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalidArgument);
    }
  }
  // The last character carries two bits; others would give one id several texts.
  int accepted = 0;
  for (int c = 0; c < 256; ++c) {
    accepted += Uuid::parse(good.substr(0, 21) + static_cast<char>(c)).has_value() ? 1 : 0;
  }
  EXPECT_EQ(accepted, 4);
}

}  // namespace
}  // namespace runnel
