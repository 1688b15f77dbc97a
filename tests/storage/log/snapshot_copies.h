// Data directories made of snapshots, as whoever copies them makes them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "storage/snapshot.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {

/// Of each listed file what counts, and zeros up to its size.
inline void copy_snapshot_file(FileSystem& fs, const Snapshot& snapshot, const SnapshotFile& file,
                               const std::string& to) {
  const auto in = fs.open(snapshot.directory + "/" + file.name, {});
  ASSERT_TRUE(in) << in.error().to_string();
  Buffer bytes = Buffer::allocate(file.bytes);
  ASSERT_TRUE((*in)->read_exactly(0, bytes.mutable_bytes().first(file.bytes)));
  const auto out = fs.open(to + "/" + file.name, {.write = true, .create = true, .truncate = true});
  ASSERT_TRUE(out) << out.error().to_string();
  ASSERT_TRUE((*out)->write(0, bytes.bytes().first(file.bytes)));
  ASSERT_TRUE((*out)->allocate(file.size));
  ASSERT_TRUE((*out)->sync());
}

inline void copy_snapshot(FileSystem& fs, const Snapshot& snapshot, const std::string& to) {
  for (const std::string& directory : {to, to + "/segments", to + "/index"}) {
    ASSERT_TRUE(fs.create_directory(directory));
  }
  for (const SnapshotFile& file : snapshot.files) copy_snapshot_file(fs, snapshot, file, to);
  for (const std::string& directory : {to + "/segments", to + "/index", to}) {
    ASSERT_TRUE(fs.sync_directory(directory));
  }
}

}  // namespace runnel::storage
