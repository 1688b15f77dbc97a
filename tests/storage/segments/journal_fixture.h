// A journal on a simulated disk, and what was put into it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "storage/env/manual_clock.h"
#include "storage/segments/journal.h"
#include "tests/support/sim_file_system.h"

namespace runnel::storage {

inline constexpr const char* kDirectory = "/data/segments";
inline constexpr const char* kAnchorPath = "/data/anchor";

struct Replayed {
  std::vector<std::string> frames;  // operations and payload of each, joined by '|'
  std::vector<FrameHeader> headers;
  ReplayReport report;
  Status status;
};

class JournalBox {
 public:
  explicit JournalBox(std::uint64_t seed = 1, std::uint64_t segment_bytes = kMinSegmentBytes)
      : disk(seed) {
    options.directory = kDirectory;
    options.anchor_path = kAnchorPath;
    options.segment_bytes = segment_bytes;
    options.store.bytes[0] = 7;
    options.frame_seed = seed * 0x9e3779b97f4a7c15;
    options.file_system = &disk;
    options.clock = &clock;
    EXPECT_TRUE(disk.create_directory("/data"));
    EXPECT_TRUE(disk.sync_directory("/"));
  }

  /// Opens the journal and replays it; journal is null if it was refused.
  Replayed open(const JournalPoint& from = {}) {
    Replayed out;
    journal.reset();
    auto opened = Journal::open(options);
    if (!opened) {
      out.status = fail(opened.error());
      return out;
    }
    auto report = (*opened)->replay(from, [&](const FrameView& frame) -> Status {
      out.frames.push_back(std::string(as_text(frame.operations)) + "|" +
                           std::string(as_text(frame.payload)));
      out.headers.push_back(frame.header);
      return {};
    });
    if (!report) {
      out.status = fail(report.error());
      return out;
    }
    out.report = *report;
    journal = std::move(*opened);
    return out;
  }

  Result<FrameHeader> append(const std::string& operations, const std::string& payload) {
    // Two parts, as from two sockets.
    const std::size_t half = payload.size() / 2;
    const Bytes parts[] = {as_bytes(payload).first(half), as_bytes(payload).subspan(half)};
    FrameContent content;
    content.operations = as_bytes(operations);
    content.payload = parts;
    content.operation_count = 1;
    content.batch_count = 2;
    return journal->append(content, clock.now());
  }

  static std::string segment_path(unsigned number) {
    std::string digits = std::to_string(number);
    return std::string(kDirectory) + "/" + std::string(10 - digits.size(), '0') + digits + ".wal";
  }

  SimFileSystem disk;
  ManualClock clock;
  JournalOptions options;
  std::unique_ptr<Journal> journal;
};

}  // namespace runnel::storage
