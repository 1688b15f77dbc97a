// Folding donations and reading the view, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/views/engine/fold.h"
#include "storage/views/engine/view_reader.h"
#include "tests/storage/views/engine/donations.h"
#include "tests/storage/views/engine/memory_store.h"

namespace runnel::storage::views {

inline constexpr ViewId kView{7, 1};
/// A row as text: "a | 2 | 12.50".
using Rows = std::multiset<std::string>;

inline std::unique_ptr<ViewFold> open_fold(const ViewPlan& plan, const StateReader& store,
                                           std::size_t cache_bytes = 64u << 20,
                                           std::uint64_t keep_changes = 0) {
  FoldOptions options;
  options.keep_changes = keep_changes;
  options.id = kView;
  options.cache_bytes = cache_bytes;
  auto fold = ViewFold::open(plan, options, store);
  EXPECT_TRUE(fold) << fold.error().to_string();
  return std::move(*fold);
}

inline Status add(ViewFold& fold, const ViewPlan& plan, const Donation& d) {
  std::vector<Value> values;
  return fold.add(d.partition, row_of(d, plan, values));
}

/// Writes what changed; the store's error is discarded with it.
inline Status commit(ViewFold& fold, StateStore& store) {
  StateWrites writes;
  Status done = fold.prepare(writes);
  if (done) done = store.apply(writes);
  if (done) {
    fold.committed();
  } else {
    fold.discard();
  }
  return done;
}

inline void fold_all(const ViewPlan& plan, MemoryStore& store,
                     const std::vector<Donation>& donations) {
  const auto fold = open_fold(plan, store);
  for (const Donation& d : donations) ASSERT_TRUE(add(*fold, plan, d));
  ASSERT_TRUE(commit(*fold, store));
}

inline Rows rows_of(const ViewPlan& plan, const StateReader& store, const ReadRange& range = {}) {
  Rows rows;
  auto reader = ViewReader::open(plan, kView, store);
  EXPECT_TRUE(reader) << reader.error().to_string();
  const Status read = (*reader)->read(range, [&](const ReadRow& row) {
    std::string text;
    for (const Value& value : row.outputs) {
      text += (text.empty() ? "" : " | ") + to_string(value);
    }
    if (row.error != RowError::kNone) text += " ! " + std::string(name_of(row.error));
    rows.insert(text);
    return true;
  });
  EXPECT_TRUE(read) << read.error().to_string();
  return rows;
}

inline Counters totals_of(const ViewPlan& plan, const StateReader& store) {
  auto reader = ViewReader::open(plan, kView, store);
  EXPECT_TRUE(reader);
  const Counters totals = (*reader)->totals();
  EXPECT_EQ(totals.records, totals.applied + totals.filtered + totals.late + totals.errors);
  return totals;
}

}  // namespace runnel::storage::views
