#include "storage/index/rocksdb_state_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>

#include "protocol/base/thread_annotations.h"
#include "storage/index/manifest_tail.h"
#include "storage/index/rocksdb_file_system.h"
#include "storage/index/rocksdb_text.h"

namespace runnel::storage {
namespace {

constexpr std::uint64_t kMinWriteBuffer = 1u << 20;
constexpr std::uint64_t kMaxWriteBuffer = 32u << 20;
constexpr int kMaxOpenFiles = 256;
/// Files of the first level that one compaction takes. Groups are spread over all keys, so each
/// rewrites most of the state; views know by themselves of most groups that they are in none of the
/// files.
constexpr int kFilesPerCompaction = 12;
constexpr double kBloomBitsPerKey = 10;
constexpr double kMemtableBloomShare = 0.02;
constexpr std::size_t kErasesPerWrite = 10'000;
constexpr std::size_t kKeysPerLookup = 16;  // looked up together; on the stack
/// Of a key: what all entries of a view that follow each other in order have in common.
constexpr std::size_t kHintPrefixBytes = 7;

Error error_of(const rocksdb::Status& status, std::string_view what) {
  return rocksdb_error(status, "view state", what);
}

Result<bool> get_from(rocksdb::DB& db, const rocksdb::ReadOptions& read, std::string_view key,
                      std::string& value) {
  const auto status = db.Get(read, slice(key), &value);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return fail(error_of(status, "cannot read a key"));
  return true;
}

Status get_each_from(rocksdb::DB& db, const rocksdb::ReadOptions& read,
                     std::span<const std::string_view> keys, const StateReader::Visit& visit) {
  std::array<rocksdb::Slice, kKeysPerLookup> slices;
  std::array<rocksdb::PinnableSlice, kKeysPerLookup> values;
  std::array<rocksdb::Status, kKeysPerLookup> found;
  while (!keys.empty()) {
    const auto now = keys.first(std::min(keys.size(), kKeysPerLookup));
    keys = keys.subspan(now.size());
    std::transform(now.begin(), now.end(), slices.begin(), slice);
    db.MultiGet(read, db.DefaultColumnFamily(), now.size(), slices.data(), values.data(),
                found.data(), /*sorted_input=*/true);
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (found[i].IsNotFound()) continue;
      if (!found[i].ok()) return fail(error_of(found[i], "cannot read a key"));
      if (!visit(now[i], view(values[i]))) return {};
      values[i].Reset();
    }
  }
  return {};
}

Status scan_in(rocksdb::DB& db, rocksdb::ReadOptions read, std::string_view begin,
               std::string_view end, const StateReader::Visit& visit) {
  const rocksdb::Slice upper = slice(end);
  if (!end.empty()) read.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(read));
  for (it->Seek(slice(begin)); it->Valid(); it->Next()) {
    if (!visit(view(it->key()), view(it->value()))) return {};
  }
  if (!it->status().ok()) return fail(error_of(it->status(), "cannot scan"));
  return {};
}

/// The database outlives whoever still reads a snapshot of it.
class StateSnapshot final : public StateReader {
 public:
  explicit StateSnapshot(std::shared_ptr<rocksdb::DB> db)
      : db_(std::move(db)), snapshot_(db_->GetSnapshot()) {
    read_.snapshot = snapshot_;
  }
  ~StateSnapshot() override { db_->ReleaseSnapshot(snapshot_); }
  StateSnapshot(const StateSnapshot&) = delete;
  StateSnapshot& operator=(const StateSnapshot&) = delete;
  /// As DB::GetLatestSequenceNumber() was.
  [[nodiscard]] rocksdb::SequenceNumber number() const { return snapshot_->GetSequenceNumber(); }

  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const override {
    return get_from(*db_, read_, key, value);
  }
  [[nodiscard]] Status get_each(std::span<const std::string_view> keys,
                                const Visit& visit) const override {
    return get_each_from(*db_, read_, keys, visit);
  }
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const Visit& visit) const override {
    return scan_in(*db_, read_, begin, end, visit);
  }

 private:
  std::shared_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions read_;
};

class RocksdbStateStore final : public StateStore {
 public:
  RocksdbStateStore(std::shared_ptr<rocksdb::Env> env, std::shared_ptr<rocksdb::DB> db)
      : env_(std::move(env)), db_(std::move(db)) {}

  [[nodiscard]] Result<bool> get(std::string_view key, std::string& value) const override {
    return get_from(*db_, {}, key, value);
  }
  [[nodiscard]] Status get_each(std::span<const std::string_view> keys,
                                const Visit& visit) const override {
    return get_each_from(*db_, {}, keys, visit);
  }
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const Visit& visit) const override {
    return scan_in(*db_, {}, begin, end, visit);
  }
  [[nodiscard]] std::shared_ptr<const StateReader> snapshot() const override {
    const MutexLock lock(mutex_);
    if (newest_ == nullptr || newest_->number() != db_->GetLatestSequenceNumber()) {
      newest_ = std::make_shared<const StateSnapshot>(db_);
    }
    return newest_;
  }

  [[nodiscard]] Status apply(const StateWrites& writes) override {
    rocksdb::WriteBatch batch(writes.bytes());
    rocksdb::Status status;
    const auto keep = [&](const rocksdb::Status& s) {
      if (status.ok()) status = s;
    };
    writes.for_each([&](std::string_view key,
                        std::string_view value) { keep(batch.Put(slice(key), slice(value))); },
                    [&](std::string_view key) { keep(batch.Delete(slice(key))); });
    if (!status.ok()) return fail(error_of(status, "cannot prepare a change"));
    return write(batch);
  }

  [[nodiscard]] Status flush() override {
    rocksdb::FlushOptions options;
    options.wait = true;
    options.allow_write_stall = true;
    const auto status = db_->Flush(options);
    if (!status.ok()) return fail(error_of(status, "cannot flush"));
    return {};
  }

  [[nodiscard]] std::uint64_t approximate_bytes(std::string_view begin,
                                                std::string_view end) const override {
    rocksdb::SizeApproximationOptions options;
    options.include_memtables = true;
    const rocksdb::Range range(slice(begin), slice(end));
    std::uint64_t bytes = 0;
    const auto status =
        db_->GetApproximateSizes(options, db_->DefaultColumnFamily(), &range, 1, &bytes);
    return status.ok() ? bytes : 0;
  }

  [[nodiscard]] Status erase_range(std::string_view begin, std::string_view end) override {
    rocksdb::WriteBatch batch;
    Status status;
    RUNNEL_TRY(scan(begin, end, [&](std::string_view key, std::string_view) {
      const auto added = batch.Delete(slice(key));
      if (!added.ok()) status = fail(error_of(added, "cannot prepare a change"));
      if (status && batch.Count() == kErasesPerWrite) status = write(batch);
      return status.has_value();
    }));
    RUNNEL_TRY(status);
    return write(batch);
  }

 private:
  [[nodiscard]] Status write(rocksdb::WriteBatch& batch) {
    if (batch.Count() == 0) return {};
    rocksdb::WriteOptions without_log;
    without_log.disableWAL = true;
    const auto status = db_->Write(without_log, &batch);
    batch.Clear();
    {
      // Nobody is given it any more, and it would keep what was overwritten.
      const MutexLock lock(mutex_);
      newest_.reset();
    }
    if (!status.ok()) return fail(error_of(status, "cannot apply changes"));
    return {};
  }

  std::shared_ptr<rocksdb::Env> env_;
  std::shared_ptr<rocksdb::DB> db_;
  mutable Mutex mutex_;
  /// The state as it is now, for all who ask before the next write.
  mutable std::shared_ptr<const StateSnapshot> newest_ RUNNEL_GUARDED_BY(mutex_);
};

rocksdb::Options options_of(const StateStoreOptions& options, rocksdb::Env& env) {
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.block_cache = rocksdb::NewLRUCache(options.memory_bytes / 4, /*num_shard_bits=*/2);
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));

  rocksdb::Options db;
  db.write_buffer_size = std::clamp(options.memory_bytes / 4, kMinWriteBuffer, kMaxWriteBuffer);
  db.max_write_buffer_number = 3;
  db.level0_file_num_compaction_trigger = kFilesPerCompaction;
  // Most groups that are looked up for the first time are new.
  db.memtable_whole_key_filtering = true;
  db.memtable_prefix_bloom_size_ratio = kMemtableBloomShare;
  // Writes come in order, so that the place of one is near the one before it.
  db.memtable_insert_with_hint_prefix_extractor.reset(
      rocksdb::NewFixedPrefixTransform(kHintPrefixBytes));
  db.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  db.compression = rocksdb::kNoCompression;
  db.arena_block_size = 64u << 10;
  db.create_if_missing = true;
  db.env = &env;
  db.max_open_files = kMaxOpenFiles;
  db.max_background_jobs = 2;
  db.max_file_opening_threads = 1;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.skip_stats_update_on_db_open = true;
  db.info_log = make_rocksdb_logger(options.warn);
  db.allow_concurrent_memtable_write = false;
  db.enable_write_thread_adaptive_yield = false;
  return db;
}

}  // namespace

Result<std::unique_ptr<StateStore>> open_state_store(StateStoreOptions options) {
  RUNNEL_TRY(cut_torn_manifest_tail(*options.file_system, options.directory));
  std::shared_ptr<rocksdb::Env> env = make_rocksdb_env(*options.file_system);
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(options_of(options, *env), options.directory, &raw);
  if (!status.ok()) {
    const Error error = error_of(status, "cannot open " + options.directory);
    // A file that should be there, or one that makes no sense: it will never open.
    const bool lasting = !status.IsIOError() || status.IsPathNotFound();
    return lasting && error.code() == ErrorCode::kIo ? fail(ErrorCode::kCorrupt, error.message())
                                                     : fail(error);
  }
  // The environment goes after the last user of the database.
  std::shared_ptr<rocksdb::DB> db(raw, [env](rocksdb::DB* closing) {
    closing->Close().PermitUncheckedError();
    delete closing;
  });
  return std::make_unique<RocksdbStateStore>(std::move(env), std::move(db));
}

}  // namespace runnel::storage
