// Between RocksDB's texts and errors and ours; private to this folder.
#pragma once

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::storage {

inline rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view view(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

/// "PLACE: WHAT: what RocksDB says". kCorrupt, kLowSpace, kIo for all else.
inline Error rocksdb_error(const rocksdb::Status& status, std::string_view place,
                           std::string_view what) {
  ErrorCode code = ErrorCode::kIo;
  if (status.IsCorruption()) code = ErrorCode::kCorrupt;
  if (status.IsNoSpace()) code = ErrorCode::kLowSpace;
  return Error(code, std::string(place) + ": " + std::string(what) + ": " + status.ToString());
}

}  // namespace runnel::storage
