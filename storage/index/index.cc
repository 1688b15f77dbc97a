#include "storage/index/index.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/utilities/write_batch_with_index.h>
#include <rocksdb/write_batch.h>

#include <array>

#include "protocol/base/assert.h"
#include "storage/index/manifest_tail.h"
#include "storage/index/rocksdb_file_system.h"
#include "storage/index/rocksdb_text.h"

namespace runnel::storage {
namespace {

constexpr std::array<const char*, kFamilyCount> kFamilyNames = {"default", "meta", "dedup"};
constexpr std::uint64_t kMinWriteBuffer = 1u << 20;
constexpr std::uint64_t kMaxWriteBuffer = 16u << 20;
constexpr int kMaxOpenFiles = 512;
constexpr double kBloomBitsPerKey = 10;

Error error_of(const rocksdb::Status& status, std::string_view what) {
  return rocksdb_error(status, "index", what);
}

/// Forgets dedup keys whose record is gone: no scan, no second bookkeeping.
class DedupFilter final : public rocksdb::CompactionFilter {
 public:
  explicit DedupFilter(std::function<bool(std::string_view)> alive) : alive_(std::move(alive)) {}
  const char* Name() const override { return "runnel.dedup"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*,
              bool*) const override {
    return alive_ && !alive_(view(value));
  }

 private:
  std::function<bool(std::string_view)> alive_;
};

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (static_cast<unsigned char>(end.back()) != 0xff) {
      end.back() = static_cast<char>(end.back() + 1);
      return end;
    }
    end.pop_back();
  }
  return end;
}

/// Repeats a batch's changes on another one.
class Repeat final : public rocksdb::WriteBatch::Handler {
 public:
  Repeat(rocksdb::WriteBatchBase& to, const std::vector<rocksdb::ColumnFamilyHandle*>& families)
      : to_(to), families_(families) {}
  rocksdb::Status PutCF(std::uint32_t id, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    return to_.Put(family(id), key, value);
  }
  rocksdb::Status DeleteCF(std::uint32_t id, const rocksdb::Slice& key) override {
    return to_.Delete(family(id), key);
  }

 private:
  rocksdb::ColumnFamilyHandle* family(std::uint32_t id) const {
    const auto it = std::find_if(families_.begin(), families_.end(),
                                 [&](const auto* f) { return f->GetID() == id; });
    RUNNEL_ASSERT(it != families_.end());
    return *it;
  }

  rocksdb::WriteBatchBase& to_;
  const std::vector<rocksdb::ColumnFamilyHandle*>& families_;
};

}  // namespace

struct Index::Impl {
  IndexOptions options;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<DedupFilter> dedup_filter;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::unique_ptr<rocksdb::WriteBatchWithIndex> applied;  ///< of a read-only index

  ~Impl() {
    applied.reset();
    for (auto* f : families) {
      if (db) db->DestroyColumnFamilyHandle(f).PermitUncheckedError();
    }
    if (db) db->Close().PermitUncheckedError();
  }
  /// Without RocksDB's own log; waits where the disk is full.
  [[nodiscard]] rocksdb::Status write_with_room(rocksdb::WriteBatch& batch) const;
  [[nodiscard]] rocksdb::ColumnFamilyHandle* of(Family f) const {
    const auto i = static_cast<std::size_t>(f);
    RUNNEL_ASSERT(i < families.size());
    return families[i];
  }
  /// `read` must outlive it.
  [[nodiscard]] std::unique_ptr<rocksdb::Iterator> iterator(
      Family f, const rocksdb::ReadOptions& read) const {
    std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(read, of(f)));
    if (applied) it.reset(applied->NewIteratorWithBase(of(f), it.release(), &read));
    return it;
  }
};

Index::Index() : impl_(std::make_unique<Impl>()) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(IndexOptions options) {
  auto index = std::unique_ptr<Index>(new Index);
  Impl& impl = *index->impl_;
  impl.options = std::move(options);
  if (!impl.options.read_only) {
    RUNNEL_TRY(cut_torn_manifest_tail(*impl.options.file_system, impl.options.directory));
  }
  impl.env = make_rocksdb_env(*impl.options.file_system);
  impl.dedup_filter = std::make_unique<DedupFilter>(impl.options.dedup_alive);

  const std::uint64_t buffer =
      std::clamp(impl.options.memory_bytes / 8, kMinWriteBuffer, kMaxWriteBuffer);
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.block_cache = rocksdb::NewLRUCache(impl.options.memory_bytes / 2, /*num_shard_bits=*/2);
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));

  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = buffer;
  family.max_write_buffer_number = 3;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.compression = rocksdb::kNoCompression;
  family.arena_block_size = 64u << 10;

  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.atomic_flush = true;
  db.env = impl.env.get();
  db.max_open_files = kMaxOpenFiles;
  db.max_background_jobs = 2;
  db.max_file_opening_threads = 1;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.skip_stats_update_on_db_open = true;
  db.info_log = make_rocksdb_logger(impl.options.warn);
  db.manual_wal_flush = true;
  db.allow_concurrent_memtable_write = false;
  db.enable_write_thread_adaptive_yield = false;

  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    rocksdb::ColumnFamilyOptions f = family;
    if (static_cast<Family>(i) == Family::kDedup) f.compaction_filter = impl.dedup_filter.get();
    descriptors.emplace_back(kFamilyNames[i], f);
  }
  rocksdb::DB* raw = nullptr;
  const std::string& directory = impl.options.directory;
  const auto status =
      impl.options.read_only
          ? rocksdb::DB::OpenForReadOnly(db, directory, descriptors, &impl.families, &raw)
          : rocksdb::DB::Open(db, directory, descriptors, &impl.families, &raw);
  impl.db.reset(raw);
  if (!status.ok()) return fail(error_of(status, "cannot open " + impl.options.directory));
  if (impl.options.read_only) {
    impl.applied = std::make_unique<rocksdb::WriteBatchWithIndex>(
        rocksdb::BytewiseComparator(), /*reserved_bytes=*/0, /*overwrite_key=*/true);
  }
  return index;
}

rocksdb::Status Index::Impl::write_with_room(rocksdb::WriteBatch& batch) const {
  rocksdb::WriteOptions without_log;
  without_log.disableWAL = true;
  rocksdb::Status status = db->Write(without_log, &batch);
  const IndexOptions::FullDisk& full_disk = options.full_disk;
  if (!status.IsNoSpace() || !full_disk.wait) return status;
  // After a flush without room RocksDB refuses to write, and tries that flush again every five
  // seconds.
  for (int i = 0; status.IsNoSpace() && full_disk.wait(i); ++i) {
    status = db->Write(without_log, &batch);
  }
  if (status.ok()) full_disk.over();
  return status;
}

Status Index::write(rocksdb::WriteBatch& batch) {
  if (batch.Count() == 0) return {};
  rocksdb::Status status;
  if (impl_->applied) {
    Repeat repeat(*impl_->applied, impl_->families);
    status = batch.Iterate(&repeat);
  } else {
    status = impl_->write_with_room(batch);
  }
  batch.Clear();
  if (!status.ok()) return fail(error_of(status, "cannot apply a commit"));
  return {};
}

Status Index::erase_range(Family family, std::string_view begin, std::string_view end) {
  constexpr std::uint32_t kErasesPerWrite = 10'000;
  const bool at_once = impl_->applied != nullptr;  // what is scanned must not change meanwhile
  rocksdb::WriteBatch batch;
  Status status;
  RUNNEL_TRY(scan(family, begin, end, [&](std::string_view key, std::string_view) {
    const auto added = batch.Delete(impl_->of(family), slice(key));
    if (!added.ok()) status = fail(error_of(added, "cannot prepare a change"));
    if (status && !at_once && batch.Count() == kErasesPerWrite) status = write(batch);
    return status.has_value();
  }));
  RUNNEL_TRY(status);
  return write(batch);
}

Status Index::apply(const Mutations& mutations) {
  rocksdb::WriteBatch batch;
  for (const auto& c : mutations.changes()) {
    rocksdb::Status s;
    switch (c.kind) {
      case Mutations::Kind::kPut:
        s = batch.Put(impl_->of(c.family), slice(c.key), slice(c.value));
        break;
      case Mutations::Kind::kErase:
        s = batch.Delete(impl_->of(c.family), slice(c.key));
        break;
      case Mutations::Kind::kEraseRange:
        // What stands before it in the batch must be there to be erased.
        RUNNEL_TRY(write(batch));
        RUNNEL_TRY(erase_range(c.family, c.key, c.value));
        break;
    }
    if (!s.ok()) return fail(error_of(s, "cannot prepare a change"));
  }
  return write(batch);
}

Result<std::optional<std::string>> Index::get(Family family, std::string_view key) const {
  std::string value;
  const rocksdb::ReadOptions read;
  const auto s = impl_->applied ? impl_->applied->GetFromBatchAndDB(
                                      impl_->db.get(), read, impl_->of(family), slice(key), &value)
                                : impl_->db->Get(read, impl_->of(family), slice(key), &value);
  if (s.IsNotFound()) return std::optional<std::string>();
  if (!s.ok()) return fail(error_of(s, "cannot read a key"));
  return std::optional<std::string>(std::move(value));
}

namespace {

/// `end` again, though the iterator has it: what was applied to a read-only index ignores it.
/// False as Index::scan says it.
Result<bool> visit_until_end(rocksdb::Iterator& it, std::string_view end,
                             const Index::Visit& visit) {
  for (; it.Valid() && (end.empty() || view(it.key()) < end); it.Next()) {
    if (!visit(view(it.key()), view(it.value()))) return true;
  }
  if (it.status().IsIncomplete()) return false;
  if (!it.status().ok()) return fail(error_of(it.status(), "cannot scan"));
  return true;
}

rocksdb::ReadOptions options_of(Index::Reads reads) {
  rocksdb::ReadOptions read;
  if (reads == Index::Reads::kMemory) {
    read.read_tier = rocksdb::kBlockCacheTier;
    read.background_purge_on_iterator_cleanup = true;
  }
  return read;
}

}  // namespace

Status Index::scan(Family family, std::string_view begin, std::string_view end,
                   const Visit& visit) const {
  RUNNEL_TRY(scan(family, begin, end, Reads::kDisk, visit));
  return {};
}

Result<bool> Index::scan(Family family, std::string_view begin, std::string_view end, Reads reads,
                         const Visit& visit) const {
  rocksdb::ReadOptions read = options_of(reads);
  const rocksdb::Slice upper = slice(end);
  if (!end.empty()) read.iterate_upper_bound = &upper;
  const auto it = impl_->iterator(family, read);
  it->Seek(slice(begin));
  return visit_until_end(*it, end, visit);
}

Result<bool> Index::scan_from_floor(Family family, std::string_view begin, std::string_view at,
                                    std::string_view end, Reads reads, const Visit& visit) const {
  rocksdb::ReadOptions read = options_of(reads);
  const rocksdb::Slice upper = slice(end);
  const rocksdb::Slice lower = slice(begin);
  read.iterate_upper_bound = &upper;
  read.iterate_lower_bound = &lower;
  const auto it = impl_->iterator(family, read);
  it->SeekForPrev(slice(at));
  if (!it->Valid() && it->status().ok()) it->Seek(slice(at));
  return visit_until_end(*it, end, visit);
}

Status Index::scan_prefix(Family family, std::string_view prefix, const Visit& visit) const {
  return scan(family, prefix, prefix_end(prefix), visit);
}

Status Index::scan_last_of_each(Family family, std::string_view prefix, std::size_t group_bytes,
                                const Visit& visit) const {
  const rocksdb::ReadOptions read;
  const auto it = impl_->iterator(family, read);
  it->Seek(slice(prefix));
  while (it->Valid() && it->key().starts_with(slice(prefix))) {
    RUNNEL_ASSERT(it->key().size() > group_bytes);
    const std::string behind = prefix_end(view(it->key()).substr(0, group_bytes));
    if (behind.empty()) {
      it->SeekToLast();
    } else {
      it->SeekForPrev(slice(behind));
    }
    if (!it->Valid() || !visit(view(it->key()), view(it->value()))) break;
    it->Next();
  }
  if (!it->status().ok()) return fail(error_of(it->status(), "cannot scan"));
  return {};
}

Status Index::flush() {
  if (impl_->applied) {
    return fail(ErrorCode::kUnsupported, "index: opened for reading only, nothing is saved");
  }
  rocksdb::FlushOptions options;
  options.wait = true;
  options.allow_write_stall = true;
  const auto s = impl_->db->Flush(options, impl_->families);
  if (!s.ok()) return fail(error_of(s, "cannot flush"));
  return {};
}

Status Index::checkpoint(const std::string& directory) {
  rocksdb::Checkpoint* made = nullptr;
  auto s = rocksdb::Checkpoint::Create(impl_->db.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (s.ok()) s = checkpoint->CreateCheckpoint(directory);
  if (!s.ok()) return fail(error_of(s, "cannot save a copy in " + directory));
  return {};
}

Status Index::compact(Family family) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  const auto s = impl_->db->CompactRange(options, impl_->of(family), nullptr, nullptr);
  if (!s.ok()) return fail(error_of(s, "cannot compact"));
  return {};
}

Status Index::verify() const {
  const auto s = impl_->db->VerifyChecksum();
  if (!s.ok()) return fail(error_of(s, "checksum verification failed"));
  return {};
}

}  // namespace runnel::storage
