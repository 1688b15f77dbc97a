// RocksDB on the injected file system: in production and in tests it sees the same disk as the
// segments do, power cuts and full disks included.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "storage/env/file_system.h"

namespace rocksdb {
class Env;
class Logger;
}  // namespace rocksdb

namespace runnel::storage {

/// Takes one line of RocksDB's own log, a warning or worse, without a newline at its end.
/// Called on RocksDB's threads, several at once.
using RocksdbLogSink = std::function<void(std::string_view line)>;

/// An Env whose every file lives on `file_system`, which must outlive the Env; the Env must outlive
/// each database opened with it. Threads and time are the machine's, but
/// sleeps are cut to 20 ms. It has no mmap, no direct I/O
/// and preallocates nothing. A log that RocksDB asks for goes to `log`; no LOG file is written.
///
/// Errors of the file system become IOError with its message, except kNotFound (PathNotFound) and
/// kLowSpace (NoSpace). A file that failed to write or to sync refuses every later write and sync:
/// what the kernel still holds of it is not known.
[[nodiscard]] std::unique_ptr<rocksdb::Env> make_rocksdb_env(FileSystem& file_system,
                                                             RocksdbLogSink log = {});

/// For DBOptions::info_log: warnings and worse go to `log`, everything else is dropped unformatted.
[[nodiscard]] std::shared_ptr<rocksdb::Logger> make_rocksdb_logger(RocksdbLogSink log);

}  // namespace runnel::storage
