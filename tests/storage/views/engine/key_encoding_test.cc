#include "storage/views/engine/key_encoding.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>

#include "tests/support/format_page.h"

namespace runnel::storage::views {
namespace {

/// A value together with what its text points to.
struct Made {
  Value value;
  std::shared_ptr<std::string> text;
};

Made any_value(const Type& type) {
  if (*rc::gen::inRange(0, 10) == 0) return {};
  const auto number =
      *rc::gen::oneOf(rc::gen::arbitrary<std::int64_t>(), rc::gen::inRange<std::int64_t>(-3, 3));
  switch (type.kind) {
    case TypeKind::kBoolean:
      return {Value::boolean(number % 2 == 0), nullptr};
    case TypeKind::kBigint:
      return {Value::bigint(number), nullptr};
    case TypeKind::kTimestamp:
      return {Value::timestamp(number), nullptr};
    case TypeKind::kDate:
      return {Value::date(static_cast<std::int32_t>(number)), nullptr};
    case TypeKind::kDouble: {
      if (number == 0) return {Value::number(std::nan("")), nullptr};
      if (number == 1) return {Value::number(-0.0), nullptr};
      return {Value::number(std::bit_cast<double>(number)), nullptr};
    }
    case TypeKind::kDecimal:
      return {Value::decimal(static_cast<Int128>(number) * *rc::gen::inRange(1, 1'000'000'000),
                             type.scale),
              nullptr};
    case TypeKind::kVarchar:
    case TypeKind::kJson:
      break;
  }
  // Bytes at the edges of what is escaped.
  auto text = std::make_shared<std::string>(*rc::gen::container<std::string>(
      rc::gen::element('\0', '\x01', '\x02', 'a', 'b', '\xfe', '\xff')));
  return {Value::text(*text), text};
}

const Type kTypes[] = {{TypeKind::kBoolean, 0, 0}, {TypeKind::kBigint, 0, 0},
                       {TypeKind::kDouble, 0, 0},  {TypeKind::kDecimal, 38, 4},
                       {TypeKind::kVarchar, 0, 0}, {TypeKind::kTimestamp, 0, 0},
                       {TypeKind::kDate, 0, 0},    {TypeKind::kJson, 0, 0}};

TEST(KeyEncoding, TuplesOrderAsTheirValuesDo) {
  EXPECT_TRUE(rc::check("encoded tuples order as their values do", [] {
    const auto types = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(
        rc::gen::inRange<std::size_t>(0, std::size(kTypes))));
    std::string a;
    std::string b;
    int expected = 0;
    std::vector<Made> keep;
    for (const std::size_t t : types) {
      keep.push_back(any_value(kTypes[t]));
      keep.push_back(*rc::gen::arbitrary<bool>() ? keep.back() : any_value(kTypes[t]));
      const Value& left = keep[keep.size() - 2].value;
      const Value& right = keep.back().value;
      encode_key(kTypes[t], left, a);
      encode_key(kTypes[t], right, b);
      if (expected == 0) expected = compare(left, right);
    }
    const int got = a.compare(b);
    RC_ASSERT((got < 0) == (expected < 0));
    RC_ASSERT((got > 0) == (expected > 0));
  }));
}

TEST(KeyEncoding, WhatIsEncodedIsDecoded) {
  EXPECT_TRUE(rc::check("tuples round-trip, and no column reads into the next", [] {
    const auto types = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::inRange<std::size_t>(0, std::size(kTypes)));
    std::string bytes;
    std::vector<Made> values;
    for (const std::size_t t : types) {
      values.push_back(any_value(kTypes[t]));
      encode_key(kTypes[t], values.back().value, bytes);
    }
    bytes += "tail";
    Arena arena;
    std::string_view rest = bytes;
    std::string_view skipped = bytes;
    for (std::size_t i = 0; i < types.size(); ++i) {
      Value value;
      RC_ASSERT(decode_key(kTypes[types[i]], rest, arena, value));
      RC_ASSERT(skip_key(kTypes[types[i]], skipped));
      RC_ASSERT(compare(value, values[i].value) == 0);
      RC_ASSERT(rest == skipped);
    }
    RC_ASSERT(rest == "tail");
  }));
}

TEST(KeyEncoding, CutBytesAreRefused) {
  for (const Type& type : kTypes) {
    const Value value = type.kind == TypeKind::kBoolean     ? Value::boolean(true)
                        : type.kind == TypeKind::kBigint    ? Value::bigint(7)
                        : type.kind == TypeKind::kDouble    ? Value::number(7)
                        : type.kind == TypeKind::kDecimal   ? Value::decimal(7, 4)
                        : type.kind == TypeKind::kTimestamp ? Value::timestamp(7)
                        : type.kind == TypeKind::kDate      ? Value::date(7)
                                                            : Value::text("a");
    std::string whole;
    encode_key(type, value, whole);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      Arena arena;
      Value out;
      std::string_view cut = std::string_view(whole).substr(0, size);
      EXPECT_FALSE(decode_key(type, cut, arena, out)) << size;
      cut = std::string_view(whole).substr(0, size);
      EXPECT_FALSE(skip_key(type, cut)) << size;
    }
  }
}

TEST(KeyEncoding, ADecimalIsKeyedByItsWorth) {
  const Type type{TypeKind::kDecimal, 12, 2};
  std::string a;
  std::string b;
  encode_key(type, Value::decimal(150, 2), a);
  encode_key(type, Value::decimal(15, 1), b);
  EXPECT_EQ(a, b);
}

TEST(KeyEncoding, BehindAPrefix) {
  EXPECT_EQ(behind_prefix("ab"), "ac");
  EXPECT_EQ(behind_prefix("a\xff\xff"), "b");
  EXPECT_EQ(behind_prefix("\xff"), "");
}

}  // namespace
}  // namespace runnel::storage::views
