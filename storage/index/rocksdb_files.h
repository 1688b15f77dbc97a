// The four kinds of files RocksDB opens, each on a storage::File. Private to storage/index.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

#include "storage/env/file_system.h"

namespace runnel::storage {

/// `error` as RocksDB understands it (see make_rocksdb_env).
[[nodiscard]] rocksdb::IOStatus to_io_status(const Error& error);
[[nodiscard]] rocksdb::IOStatus to_io_status(const Status& status);

[[nodiscard]] std::unique_ptr<rocksdb::FSSequentialFile> make_sequential_file(
    std::shared_ptr<File> file);
[[nodiscard]] std::unique_ptr<rocksdb::FSRandomAccessFile> make_random_access_file(
    std::shared_ptr<File> file);
/// Appends from byte `size`, the file's present size.
[[nodiscard]] std::unique_ptr<rocksdb::FSWritableFile> make_writable_file(
    std::shared_ptr<File> file, std::uint64_t size, const rocksdb::FileOptions& options);
[[nodiscard]] std::unique_ptr<rocksdb::FSRandomRWFile> make_random_rw_file(
    std::shared_ptr<File> file);

}  // namespace runnel::storage
