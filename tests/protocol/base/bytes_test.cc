#include "protocol/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace runnel {
namespace {

template <class T>
class Integers : public ::testing::Test {};
using IntegerTypes = ::testing::Types<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                                      std::int32_t, std::uint32_t, std::int64_t, std::uint64_t>;
TYPED_TEST_SUITE(Integers, IntegerTypes);

TYPED_TEST(Integers, MakeTheRoundTripInBothByteOrdersAndAreRefusedCut) {
  using Limits = std::numeric_limits<TypeParam>;
  for (const TypeParam v : {TypeParam{0}, TypeParam{1}, TypeParam{0x5a}, Limits::min(),
                            Limits::max(), static_cast<TypeParam>(0x0102030405060708)}) {
    ByteWriter out;
    out.le(v).be(v);
    ASSERT_EQ(out.size(), 2 * sizeof(TypeParam));
    ByteReader in(out.bytes());
    EXPECT_EQ(in.le<TypeParam>(), v);
    EXPECT_EQ(in.be<TypeParam>(), v);
    EXPECT_TRUE(in.at_end());
    EXPECT_EQ(load_le<TypeParam>(out.bytes().data()), v);
    EXPECT_EQ(load_be<TypeParam>(out.bytes().data() + sizeof(TypeParam)), v);
    for (std::size_t size = 0; size < sizeof(TypeParam); ++size) {
      ByteReader cut(out.bytes().first(size));
      EXPECT_EQ(cut.le<TypeParam>(), TypeParam{0});
      EXPECT_FALSE(cut.ok());
    }
  }
}

TEST(Bytes, OrdersAreAsNamed) {
  ByteWriter out;
  out.be(std::uint32_t{0x01020304}).le(std::uint32_t{0x01020304});
  EXPECT_EQ(out.str(), std::string("\x01\x02\x03\x04\x04\x03\x02\x01"));
  unsigned char raw[2] = {};
  store_be(raw, std::uint16_t{0x0102});
  EXPECT_EQ(raw[0], 1);
  store_le(raw, std::uint16_t{0x0102});
  EXPECT_EQ(raw[0], 2);
}

std::vector<std::uint64_t> around_every_bit() {
  std::vector<std::uint64_t> values = {0, 1, std::numeric_limits<std::uint64_t>::max()};
  for (int bit = 1; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    values.insert(values.end(), {power - 1, power, power + 1});
  }
  return values;
}

TEST(Varints, MakeTheRoundTripAroundEveryPowerOfTwoAndAreRefusedCut) {
  for (const std::uint64_t v : around_every_bit()) {
    ByteWriter out;
    out.uvarint(v);
    const std::size_t size = out.size();
    EXPECT_EQ(size, v == 0 ? 1u : (static_cast<std::size_t>(std::bit_width(v)) + 6) / 7);
    ByteReader in(out.bytes());
    EXPECT_EQ(in.uvarint(), v);
    EXPECT_TRUE(in.at_end());
    for (std::size_t cut = 0; cut < size; ++cut) {
      ByteReader short_in(out.bytes().first(cut));
      EXPECT_EQ(short_in.uvarint(), 0u);
      EXPECT_FALSE(short_in.ok());
    }
    const auto as_signed = static_cast<std::int64_t>(v);
    for (const std::int64_t s : {as_signed, -1 - as_signed}) {
      ByteWriter signed_out;
      signed_out.varint(s);
      ByteReader signed_in(signed_out.bytes());
      EXPECT_EQ(signed_in.varint(), s);
      EXPECT_TRUE(signed_in.at_end());
    }
  }
}

TEST(Varints, ZigZagOrder) {
  EXPECT_EQ(zigzag(0), 0u);
  EXPECT_EQ(zigzag(-1), 1u);
  EXPECT_EQ(zigzag(1), 2u);
  EXPECT_EQ(zigzag(-2), 3u);
  EXPECT_EQ(zigzag(std::numeric_limits<std::int64_t>::max()), ~std::uint64_t{1});
  EXPECT_EQ(zigzag(std::numeric_limits<std::int64_t>::min()), ~std::uint64_t{0});
  EXPECT_EQ(unzigzag(~std::uint64_t{0}), std::numeric_limits<std::int64_t>::min());
}

TEST(Varints, MoreThan64BitsAreRefused) {
  const std::string nine_full(9, '\xff');
  const std::string ten_bytes = nine_full + "\x01";
  ByteReader most(as_bytes(ten_bytes));
  EXPECT_EQ(most.uvarint(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(most.ok());
  for (const std::string& tail : {std::string("\x02"), std::string("\x7f"),
                                  std::string("\x81\x00", 2), std::string("\xff\xff\x01")}) {
    const std::string text = nine_full + tail;
    ByteReader in(as_bytes(text));
    EXPECT_EQ(in.uvarint(), 0u);
    EXPECT_FALSE(in.ok());
  }
}

TEST(Varints, Of32BitsHaveFiveBytesAndTheirRange) {
  for (const std::int32_t v : {0, -1, 1, 64, -64, std::numeric_limits<std::int32_t>::max(),
                               std::numeric_limits<std::int32_t>::min()}) {
    ByteWriter out;
    out.varint(v);
    ByteReader in(out.bytes());
    EXPECT_EQ(in.varint32(), v);
    EXPECT_TRUE(in.at_end());
  }
  for (const std::int64_t v :
       {std::int64_t{1} << 31, (std::int64_t{-1} << 31) - 1, std::int64_t{1} << 40}) {
    ByteWriter out;
    out.varint(v);
    ByteReader in(out.bytes());
    EXPECT_EQ(in.varint32(), 0);
    EXPECT_FALSE(in.ok());
  }
  const std::string six_bytes("\x82\x80\x80\x80\x80\x00", 6);  // 1, drawn out
  ByteReader in(as_bytes(six_bytes));
  EXPECT_EQ(in.varint32(), 0);
  EXPECT_FALSE(in.ok());
}

TEST(ByteReader, BlocksAndTextsMakeTheRoundTrip) {
  ByteWriter out;
  out.text("name").block(as_bytes("")).text(std::string(300, 'x')).raw(as_bytes("rest"));
  ByteReader in(out.bytes());
  EXPECT_EQ(in.text(), "name");
  EXPECT_TRUE(in.block().empty());
  EXPECT_EQ(in.text(), std::string(300, 'x'));
  EXPECT_EQ(as_text(in.rest()), "rest");
  EXPECT_TRUE(in.at_end());
}

TEST(ByteReader, ABlockLongerThanTheRestIsRefused) {
  for (const std::uint64_t size :
       {std::uint64_t{4}, std::uint64_t{0x7fffffff}, std::numeric_limits<std::uint64_t>::max()}) {
    ByteWriter out;
    out.uvarint(size).raw(as_bytes("abc"));
    ByteReader in(out.bytes());
    EXPECT_TRUE(in.block().empty());
    EXPECT_FALSE(in.ok());
  }
}

TEST(ByteReader, StaysFailedAfterTheFirstOverrun) {
  const std::string text = "abcdef";
  ByteReader in(as_bytes(text));
  EXPECT_EQ(in.be<std::uint64_t>(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_FALSE(in.at_end());
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_EQ(in.be<std::uint8_t>(), 0u) << "the bytes that are there are not read any more";
  EXPECT_TRUE(in.take(0).empty());
  EXPECT_TRUE(in.take(1).empty());
  EXPECT_EQ(in.text(), "");
  EXPECT_FALSE(in.ok());
}

TEST(ByteReader, CanBeToldThatItFailed) {
  ByteReader in(as_bytes("abc"));
  in.set_failed();
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.remaining(), 0u);
}

TEST(ByteReader, TakesNothingFromNothing) {
  ByteReader in{Bytes{}};
  EXPECT_TRUE(in.at_end());
  EXPECT_TRUE(in.take(0).empty());
  EXPECT_TRUE(in.ok());
  EXPECT_TRUE(in.take(1).empty());
  EXPECT_FALSE(in.ok());
}

TEST(ByteWriter, GivesItsBytesAwayOrForgetsThem) {
  ByteWriter out;
  out.raw(as_bytes("abc"));
  out.clear();
  EXPECT_EQ(out.size(), 0u);
  out.raw(as_bytes("def"));
  EXPECT_EQ(out.take(), "def");
}

}  // namespace
}  // namespace runnel
