// A topic of three partitions and two producers that write transactions to it.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/index/index.h"
#include "storage/log/records.h"
#include "tests/storage/log/committed_reader.h"
#include "tests/storage/log/store_fixture.h"

namespace runnel::storage {

using Values = std::vector<std::string>;

class TransactionsTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    create("t", 3);
    a = new_producer();
    b = new_producer();
  }
  ~TransactionsTest() override { store.reset(); }

  ProducerIdentity new_producer() {
    const auto made = store->new_producer();
    EXPECT_TRUE(made);
    return made.value_or(ProducerIdentity{});
  }
  static Buffer batch(const ProducerIdentity& p, std::int32_t sequence, Values values,
                      bool transactional = true) {
    return make_batch(BatchSpec{std::move(values), Timestamp(1'700'000'000'000), p.id, p.epoch,
                                sequence, transactional});
  }
  ErrorCode write(const ProducerIdentity& p, std::int32_t sequence, Values values, int index = 0) {
    return code(append("t", batch(p, sequence, std::move(values)), index));
  }
  TransactionMarker marker(const ProducerIdentity& p, bool commit, int index = 0) {
    return {ref("t", index), p, commit, 7};
  }
  ErrorCode end(const ProducerIdentity& p, bool commit, int index = 0) {
    CommitRequest request;
    request.markers.push_back(marker(p, commit, index));
    return code(store->commit_and_wait(std::move(request)));
  }
  Offset stable(int index = 0) { return store->partition_info(ref("t", index)).last_stable; }
  Values committed(int index = 0, Offset from = Offset(0), std::uint32_t max_bytes = 1u << 20) {
    bool readable = false;
    Values out;
    const auto found = read_committed(*store, ref("t", index), from, max_bytes, readable);
    for (const auto& [offset, value] : found) out.push_back(value);
    EXPECT_TRUE(readable);
    return out;
  }
  FetchedPartition fetch(Offset from, std::uint32_t max_bytes = 1u << 20) {
    FetchRequest request;
    request.items.push_back({ref("t"), from, max_bytes});
    request.committed_only = true;
    return store->fetch_and_wait(std::move(request))[0].head;
  }
  static std::vector<std::int64_t> firsts(const FetchedPartition& p) {
    std::vector<std::int64_t> out;
    for (const auto& t : p.aborted) out.push_back(t.first.value());
    return out;
  }

  /// A fetch that waits for `min_bytes`. `from` is 0 for committed records, else the end, unless
  /// given.
  std::future<FetchResult> wait_for(bool committed_only, std::uint64_t min_bytes,
                                    std::optional<Offset> from = std::nullopt) {
    const Offset end = store->partition_info(ref("t")).high_watermark;
    FetchRequest request;
    request.items.push_back({ref("t"), from.value_or(committed_only ? Offset(0) : end), 1u << 20});
    request.committed_only = committed_only;
    request.min_bytes = min_bytes;
    request.max_wait = std::chrono::hours(1);
    auto done = std::make_shared<std::promise<FetchResult>>();
    EXPECT_NE(
        store->fetch(std::move(request), [done](FetchResult r) { done->set_value(std::move(r)); }),
        0U);
    return done->get_future();
  }
  static bool is_ready(const std::future<FetchResult>& f) {
    return f.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  /// Entries of the list in the index; closes the store.
  std::size_t aborted_entries() {
    store.reset();
    IndexOptions index_options;
    index_options.directory = "data/index";
    index_options.file_system = &fs;
    auto index = Index::open(std::move(index_options));
    EXPECT_TRUE(index);
    std::size_t count = 0;
    EXPECT_TRUE((*index)->scan_prefix(Family::kIndex, keys::kAborted,
                                      [&](std::string_view, std::string_view) { return ++count; }));
    return count;
  }

  ProducerIdentity a, b;
};

}  // namespace runnel::storage
