// RocksDB on the injected file system: the machine's own and the simulated one.
#include "storage/index/rocksdb_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <filesystem>

#include "tests/support/seeds.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {
namespace {

constexpr int kFamilies = 4;

/// A database of several column families that are flushed together, without a log of its own.
class Database {
 public:
  Database(FileSystem& file_system, std::string path)
      : env_(make_rocksdb_env(file_system)), path_(std::move(path)) {
    options_.env = env_.get();
    options_.info_log = make_rocksdb_logger({});
    options_.create_if_missing = true;
    options_.create_missing_column_families = true;
    options_.atomic_flush = true;
    options_.paranoid_checks = true;
    options_.allow_mmap_reads = false;
  }
  ~Database() { close(); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::Status open() {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    families.emplace_back(rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions());
    for (int i = 1; i < kFamilies; ++i) {
      families.emplace_back("family" + std::to_string(i), rocksdb::ColumnFamilyOptions());
    }
    rocksdb::DB* db = nullptr;
    rocksdb::Status status = rocksdb::DB::Open(options_, path_, families, &handles_, &db);
    db_.reset(db);
    return status;
  }
  void close() {
    for (auto* handle : handles_) delete handle;
    handles_.clear();
    db_.reset();
  }
  rocksdb::Status put_everywhere(const std::string& key, const std::string& value) {
    rocksdb::WriteBatch batch;
    for (auto* handle : handles_) {
      const rocksdb::Status status = batch.Put(handle, key, value);
      if (!status.ok()) return status;
    }
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    return db_->Write(options, &batch);
  }
  rocksdb::Status flush() { return db_->Flush(rocksdb::FlushOptions(), handles_); }
  std::string get(int family, const std::string& key) {
    std::string value;
    const auto status =
        db_->Get(rocksdb::ReadOptions(), handles_[static_cast<std::size_t>(family)], key, &value);
    return status.ok() ? value : status.ToString();
  }
  rocksdb::DB& db() { return *db_; }

 private:
  std::unique_ptr<rocksdb::Env> env_;
  const std::string path_;
  rocksdb::Options options_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<rocksdb::DB> db_;
};

void expect_data_survives_reopening(FileSystem& file_system, const std::string& path) {
  Database database(file_system, path);
  auto status = database.open();
  ASSERT_TRUE(status.ok()) << status.ToString();
  const std::string large(300'000, 'v');
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(database.put_everywhere("key" + std::to_string(i), std::to_string(round)).ok());
    }
    ASSERT_TRUE(database.put_everywhere("large", large).ok());
    status = database.flush();
    ASSERT_TRUE(status.ok()) << status.ToString();
    database.close();
    status = database.open();
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (int family = 0; family < kFamilies; ++family) {
      EXPECT_EQ(database.get(family, "key99"), std::to_string(round));
      EXPECT_EQ(database.get(family, "large"), large);
    }
  }
  status = database.db().CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(database.get(0, "key7"), "2");
  Database second(file_system, path);
  EXPECT_FALSE(second.open().ok()) << "the first still holds the lock";
}

TEST(RocksdbFileSystem, KeepsDataOnTheMachinesFileSystem) {
  std::string directory = std::filesystem::temp_directory_path() / "runnel-rocksdb-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  expect_data_survives_reopening(FileSystem::posix(), directory + "/db");
  EXPECT_FALSE(std::filesystem::exists(directory + "/db/LOG"));
  std::filesystem::remove_all(directory);
}

TEST(RocksdbFileSystem, KeepsDataOnTheSimulatedDisk) {
  SimFileSystem disk(1);
  expect_data_survives_reopening(disk, "/db");
}

/// True if after each cut every family shows the same flush, the last that succeeded or a later.
bool survives_power_cuts(std::uint64_t seed, CutMode mode, bool lying) {
  SimFileSystem disk(seed);
  SeededRandom random(seed);
  int flushed = -1;
  for (int round = 0; round < 3; ++round) {
    Database database(disk, "/db");
    if (!database.open().ok()) return false;
    // RocksDB creates its directory and relies on its owner to make that name durable.
    if (!disk.sync_directory("/")) return false;
    disk.set_lying_sync(lying);
    for (int i = 0; i < 3; ++i) {
      const int next = flushed + 1;
      if (!database.put_everywhere("key", std::to_string(next)).ok()) return false;
      if (!database.flush().ok()) return false;
      flushed = next;
    }
    if (!database.put_everywhere("key", "unflushed").ok()) return false;
    std::string durable = std::to_string(flushed);
    if (random.next() % 2 == 0) {
      disk.set_fault({.nth = 1 + random.next() % 12, .kind = FaultKind::kPowerOff, .cut = mode});
      if (database.flush().ok()) durable = "unflushed";
    }
    disk.clear_fault();
    disk.power_off(mode);
    database.close();
    disk.boot();
    Database after(disk, "/db");
    if (!after.open().ok()) return false;
    const std::string value = after.get(0, "key");
    if (value != durable && value != "unflushed") return false;
    for (int family = 1; family < kFamilies; ++family) {
      if (after.get(family, "key") != value) return false;
    }
  }
  return true;
}

TEST(RocksdbFileSystem, AFlushSurvivesPowerCuts) {
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kPrefix, CutMode::kSectors}) {
    for_each_seed(1, 15, [mode](std::uint64_t seed) {
      EXPECT_TRUE(survives_power_cuts(seed, mode, false)) << "mode " << static_cast<int>(mode);
    });
  }
}

TEST(RocksdbFileSystem, APlantedLyingSyncIsCaught) {
  EXPECT_FALSE(survives_power_cuts(1, CutMode::kDropAll, true));
}

TEST(RocksdbFileSystem, AFailedSyncIsFinalForItsFile) {
  SimFileSystem disk(1);
  const auto env = make_rocksdb_env(disk);
  std::unique_ptr<rocksdb::WritableFile> file;
  ASSERT_TRUE(env->NewWritableFile("/f", &file, rocksdb::EnvOptions()).ok());
  ASSERT_TRUE(file->Append("abc").ok());
  EXPECT_EQ(disk.counters().bytes_written, 0u) << "small appends are gathered";
  EXPECT_EQ(file->GetFileSize(), 3u);
  disk.set_fault({.operations = static_cast<std::uint32_t>(SimOperation::kSync)});
  const auto failed = file->Sync();
  EXPECT_TRUE(failed.IsIOError());
  EXPECT_THAT(failed.ToString(), ::testing::HasSubstr("/f"));
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Append("d").ok());
  EXPECT_FALSE(file->Close().ok());
}

TEST(RocksdbFileSystem, ErrorsKeepTheirKind) {
  SimFileSystem disk(1);
  const auto env = make_rocksdb_env(disk);
  std::unique_ptr<rocksdb::SequentialFile> missing;
  EXPECT_TRUE(env->NewSequentialFile("/no", &missing, rocksdb::EnvOptions()).IsPathNotFound());
  EXPECT_TRUE(env->FileExists("/no").IsNotFound());
  std::vector<std::string> names;
  EXPECT_TRUE(env->GetChildren("/no", &names).IsNotFound());
  disk.set_capacity(4);
  std::unique_ptr<rocksdb::WritableFile> file;
  ASSERT_TRUE(env->NewWritableFile("/f", &file, rocksdb::EnvOptions()).ok());
  ASSERT_TRUE(file->Append("abcdef").ok());
  EXPECT_TRUE(file->Flush().IsNoSpace());
}

TEST(RocksdbFileSystem, FilesAreReopenedTruncatedAndRead) {
  SimFileSystem disk(1);
  const auto env = make_rocksdb_env(disk);
  const rocksdb::EnvOptions options;
  std::unique_ptr<rocksdb::WritableFile> file;
  ASSERT_TRUE(env->NewWritableFile("/f", &file, options).ok());
  const std::string large(100'000, 'l');
  ASSERT_TRUE(file->Append("head").ok());
  ASSERT_TRUE(file->Append(large).ok());
  ASSERT_TRUE(file->Truncate(6).ok());
  ASSERT_TRUE(file->Append("!").ok());
  ASSERT_TRUE(file->Close().ok());
  ASSERT_TRUE(env->ReopenWritableFile("/f", &file, options).ok());
  ASSERT_TRUE(file->Append("tail").ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(disk.read_file("/f").value(), "headll!tail");
  std::unique_ptr<rocksdb::SequentialFile> reader;
  ASSERT_TRUE(env->NewSequentialFile("/f", &reader, options).ok());
  ASSERT_TRUE(reader->Skip(4).ok());
  char scratch[8];
  rocksdb::Slice got;
  ASSERT_TRUE(reader->Read(3, &got, scratch).ok());
  EXPECT_EQ(got.ToString(), "ll!");
  ASSERT_TRUE(reader->Read(8, &got, scratch).ok());
  EXPECT_EQ(got.ToString(), "tail");
}

TEST(RocksdbLogger, ForwardsWarningsAlone) {
  std::vector<std::string> lines;
  const auto logger = make_rocksdb_logger([&](std::string_view line) { lines.emplace_back(line); });
  rocksdb::Header(logger, "header");
  rocksdb::Info(logger, "info %d", 1);
  rocksdb::Warn(logger, "warn %d\n", 2);
  rocksdb::Error(logger, "error %s", std::string(5000, 'x').c_str());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], ::testing::EndsWith("warn 2"));
  EXPECT_LE(lines[1].size(), 1024u);
}

}  // namespace
}  // namespace runnel::storage
