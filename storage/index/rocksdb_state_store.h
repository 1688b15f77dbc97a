// The state store on RocksDB: beside the index, with no log and no fsync of its own. It is a
// database apart, so that what views write never stalls an append.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "storage/env/file_system.h"
#include "storage/env/state_store.h"

namespace runnel::storage {

struct StateStoreOptions {
  std::string directory;
  FileSystem* file_system = nullptr;
  std::uint64_t memory_bytes = 64u << 20;  ///< memtables and block cache together
  /// RocksDB's warnings and errors; any thread.
  std::function<void(std::string_view)> warn;
};

/// Opens or creates in a directory that exists. What is in the directory may be removed where
/// nobody has it open: it is computed from the log again. Errors: kIo, kCorrupt, kLowSpace.
[[nodiscard]] Result<std::unique_ptr<StateStore>> open_state_store(StateStoreOptions options);

}  // namespace runnel::storage
