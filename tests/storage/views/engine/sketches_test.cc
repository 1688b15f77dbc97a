// Sketches: what they answer, that merging does not mind the order, that chunks round-trip.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <set>

#include "storage/views/engine/distinct_values.h"
#include "storage/views/engine/hyperloglog.h"
#include "storage/views/engine/key_encoding.h"
#include "storage/views/engine/log_histogram.h"
#include "tests/support/seeds.h"

namespace runnel::storage::views {
namespace {

const Type kBigint{TypeKind::kBigint, 0, 0};

template <class S>
void add_number(S& sketch, std::int64_t number) {
  std::string encoded;
  encode_key(kBigint, Value::bigint(number), encoded);
  if constexpr (std::is_same_v<S, LogHistogram>) {
    sketch.add(static_cast<double>(number));
  } else {
    sketch.add(encoded, Value::bigint(number));
  }
}

/// Everything a sketch knows, in a form that does not depend on the order of what was added.
std::string known(const HyperLogLog& sketch) {
  ByteWriter bytes;
  sketch.encode_chunk(0, bytes);
  return bytes.take();
}
std::string known(const LogHistogram& sketch) {
  ByteWriter bytes;
  sketch.encode_chunk(0, bytes);
  return bytes.take();
}
std::string known(const DistinctValues& sketch) {
  ByteWriter bytes;
  sketch.for_each_sorted(
      [&](std::string_view value, std::uint64_t count) { bytes.text(value).uvarint(count); });
  return bytes.uvarint(sketch.overflow()).take();
}

template <class S>
void save(Sketch& from, S& into) {
  std::vector<std::uint32_t> chunks;
  from.dirty_chunks(chunks);
  for (const std::uint32_t chunk : chunks) {
    ByteWriter bytes;
    from.encode_chunk(chunk, bytes);
    ASSERT_TRUE(into.load_chunk(bytes.bytes()));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      S torn = into;
      EXPECT_FALSE(torn.load_chunk(bytes.bytes().first(size))) << size;
    }
  }
}

template <class S>
void check_merging(const char* what, const std::function<S()>& make) {
  EXPECT_TRUE(rc::check(what, [&] {
    std::vector<S> parts;
    for (int i = 0; i < 3; ++i) {
      parts.push_back(make());
      for (const auto n : *rc::gen::container<std::vector<std::int16_t>>(
               rc::gen::inRange<std::int16_t>(-20, 20))) {
        add_number(parts.back(), n);
      }
    }
    const auto& [a, b, c] = std::tie(parts[0], parts[1], parts[2]);
    S left = a;  // (a + b) + c
    left.merge(b);
    left.merge(c);
    S inner = b;  // a + (b + c)
    inner.merge(c);
    S right = a;
    right.merge(inner);
    S turned = c;  // c + (b + a)
    S ba = b;
    ba.merge(a);
    turned.merge(ba);
    RC_ASSERT(known(left) == known(right));
    RC_ASSERT(known(left) == known(turned));
  }));
}

TEST(Sketches, MergingIsAssociativeAndCommutative) {
  check_merging<HyperLogLog>("HyperLogLog", [] { return HyperLogLog(); });
  check_merging<LogHistogram>("LogHistogram", [] { return LogHistogram(); });
  check_merging<DistinctValues>("distinct values, few kept",
                                [] { return DistinctValues(DistinctValues::Counts::kNo, 7); });
  check_merging<DistinctValues>("counted values",
                                [] { return DistinctValues(DistinctValues::Counts::kYes, 7); });
}

TEST(HyperLogLog, EstimatesWithinFourStandardErrors) {
  HyperLogLog sketch;
  std::int64_t added = 0;
  for (const std::int64_t upto : {1, 10, 100, 641, 1'000, 10'000, 100'000, 1'000'000}) {
    for (; added < upto; ++added) add_number(sketch, added * 7919);
    const double off = static_cast<double>(sketch.estimate() - upto);
    EXPECT_LE(std::abs(off), std::max(2.0, 4 * 0.0163 * static_cast<double>(upto))) << upto;
  }
  EXPECT_EQ(HyperLogLog().estimate(), 0);
}

TEST(HyperLogLog, FewRegistersAndAllOfThemRoundTrip) {
  for (const int values : {0, 1, 50, 600, 5'000}) {
    HyperLogLog sketch;
    for (int i = 0; i < values; ++i) add_number(sketch, i);
    HyperLogLog loaded;
    save(sketch, loaded);
    EXPECT_EQ(loaded.estimate(), sketch.estimate());
    EXPECT_EQ(known(loaded), known(sketch));
  }
}

TEST(LogHistogram, PercentilesAreWithinTheStatedError) {
  for_each_seed(1, 20, [](std::uint64_t seed) {
    SeededRandom random(seed);
    std::vector<double> values;
    LogHistogram sketch;
    const std::size_t count = 1 + random.next() % 500;
    for (std::size_t i = 0; i < count; ++i) {
      const double magnitude = std::exp2(static_cast<double>(random.next() % 600) / 10 - 30);
      values.push_back(random.next() % 3 == 0 ? -magnitude : magnitude);
      if (random.next() % 20 == 0) values.back() = 0;
      sketch.add(values.back());
    }
    std::sort(values.begin(), values.end());
    for (const double share : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0}) {
      const double rank = std::ceil(share * static_cast<double>(count));
      const double exact = values[rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1];
      EXPECT_NEAR(sketch.percentile(share), exact, std::abs(exact) * LogHistogram::kRelativeError)
          << share;
    }
    LogHistogram loaded;
    save(sketch, loaded);
    EXPECT_EQ(known(loaded), known(sketch));
  });
}

TEST(LogHistogram, EndsOfTheScale) {
  LogHistogram sketch;
  sketch.add(std::nan(""));
  EXPECT_EQ(sketch.count(), 0u);
  for (const double value : {-HUGE_VAL, -1e308, -1e-320, 0.0, 5e-324, 1e308, HUGE_VAL}) {
    sketch.add(value);
  }
  EXPECT_EQ(sketch.percentile(0), -HUGE_VAL);
  EXPECT_EQ(sketch.percentile(0.5), 0);
  EXPECT_EQ(sketch.percentile(1), HUGE_VAL);
  LogHistogram loaded;
  save(sketch, loaded);
  EXPECT_EQ(known(loaded), known(sketch));
}

TEST(DistinctValues, AreExactUpToTheirNumber) {
  DistinctValues values(DistinctValues::Counts::kNo, 100);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 120; ++i) add_number(values, i);
  }
  EXPECT_EQ(values.size(), 100u);
  EXPECT_EQ(values.overflow(), 40u) << "each time one found no room";
}

TEST(DistinctValues, AreExactUpToTheirBytes) {
  DistinctValues values(DistinctValues::Counts::kNo);
  constexpr std::size_t kValueBytes = 8000;
  constexpr std::size_t kRoomFor = kMaxDistinctBytes / kValueBytes;
  for (std::size_t i = 0; i < kRoomFor + 10; ++i) {
    std::string text(kValueBytes, 'x');
    text.replace(0, 4, std::to_string(1000 + i));
    values.add(text, Value());
  }
  EXPECT_EQ(values.size(), kRoomFor);
  EXPECT_EQ(values.overflow(), 10u);
  DistinctValues loaded(DistinctValues::Counts::kNo);
  std::vector<std::uint32_t> chunks;
  values.dirty_chunks(chunks);
  for (const std::uint32_t chunk : chunks) {
    ByteWriter bytes;
    values.encode_chunk(chunk, bytes);
    ASSERT_TRUE(loaded.load_chunk(bytes.bytes()));
  }
  EXPECT_EQ(loaded.size(), kRoomFor);
}

TEST(DistinctValues, ANewValueChangesTheLastChunkOnly) {
  DistinctValues values(DistinctValues::Counts::kNo);
  for (int i = 0; i < 1000; ++i) add_number(values, i);
  values.saved();
  add_number(values, 5);
  std::vector<std::uint32_t> chunks;
  values.dirty_chunks(chunks);
  EXPECT_TRUE(chunks.empty()) << "it was there";
  add_number(values, 1000);
  values.dirty_chunks(chunks);
  EXPECT_EQ(chunks, std::vector<std::uint32_t>{1000 / 64});
}

TEST(DistinctValues, RoundTripWhateverTheirNumber) {
  for (const auto counts : {DistinctValues::Counts::kNo, DistinctValues::Counts::kYes}) {
    for (const int n : {0, 1, 63, 64, 65, 128, 1000}) {
      DistinctValues values(counts, 900);
      for (int i = 0; i < n; ++i) add_number(values, i % 950);
      DistinctValues loaded(counts, 900);
      save(values, loaded);
      EXPECT_EQ(known(loaded), known(values)) << n;
      add_number(values, -1);
      add_number(loaded, -1);
      EXPECT_EQ(known(loaded), known(values)) << n;
    }
  }
}

}  // namespace
}  // namespace runnel::storage::views
