// A directory of exported files and its manifest, which says how far the export has come.
//
//   manifest.jsonl   first line: what is exported and how; then one line a file, appended when the
//                    file has its final name
//   TOPIC-PARTITION-OFFSET.FORMAT[.gz|.zst]   OFFSET: where it begins, 20 digits
//   .NAME.part       a file that is being written; nobody needs it after a crash
//   .NAME.entry      the manifest's line of a file that is about to get its final name
//   .lock            held by the export that is running
//
// docs/formats/export.md is the page, with an example that a test reads.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "tools/transfer/compressed_file.h"
#include "tools/transfer/export_format.h"

namespace runnel::tools {

/// What the first line of a manifest says. Persisted by these names.
struct ExportPlan {
  std::string topic;
  std::string topic_id;  ///< another one: a topic that was deleted and made again
  std::string cluster;
  ExportFormat format = ExportFormat::kCsv;
  FileCodec codec = FileCodec::kNone;
  std::vector<ExportColumn> columns;  ///< of CSV; else empty
  friend bool operator==(const ExportPlan&, const ExportPlan&) = default;
};

/// A line of the manifest: the records of a partition with offsets from `from` up to, not
/// including, `to` that existed. Where `file` is empty they were lost before they were exported or,
/// with `from` equal to `to`, the export of the partition begins here.
struct ExportEntry {
  std::string file;
  std::int32_t partition = 0;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::uint64_t records = 0;
  std::int64_t first_time = 0;  ///< least and greatest timestamp, milliseconds since 1970
  std::int64_t last_time = 0;
  std::uint64_t unreadable = 0;  ///< see RecordEncoder
  FileSum sum;                   ///< of the file
};

/// One line each, with its end. For the format's page and its test.
[[nodiscard]] std::string manifest_line(const ExportPlan& plan);
[[nodiscard]] std::string manifest_line(const ExportEntry& entry);

struct Manifest {
  ExportPlan plan;
  std::vector<ExportEntry> entries;
};
/// kNotFound: no manifest. kMalformed: the line that is wrong. A last line that a crash cut off is
/// left out.
[[nodiscard]] Result<Manifest> read_manifest(const std::string& directory);

/// Files that are written to stay open up to this many; of more partitions, those that waited
/// longest are closed for the while.
inline constexpr std::size_t kMaxExportStreams = 128;

/// Writes an export. Not thread safe.
class ExportDirectory {
 public:
  /// Opens or creates `path`, finishes what a crash left. kLocked: another export is at it.
  /// kInvalidArgument: it belongs to another export, or holds a file that the manifest does not
  /// name. kIo.
  [[nodiscard]] static Result<std::unique_ptr<ExportDirectory>> open(const std::string& path,
                                                                     const ExportPlan& plan);
  ~ExportDirectory();
  ExportDirectory(const ExportDirectory&) = delete;
  ExportDirectory& operator=(const ExportDirectory&) = delete;

  /// Where each partition goes on: the end of its last entry.
  [[nodiscard]] const std::map<std::int32_t, std::int64_t>& next() const noexcept { return next_; }
  /// Notes where partitions that have no entry begin. kIo.
  [[nodiscard]] Status begin_at(const std::map<std::int32_t, std::int64_t>& offsets);
  /// Notes that the records of a partition up to `to` are gone. kIo.
  [[nodiscard]] Status skip_to(std::int32_t partition, std::int64_t to);

  /// Adds a record to its partition's open file, which begins where the last one ended. A file that
  /// could not take what it was given is not published. As RecordEncoder::add, kIo.
  [[nodiscard]] Status add(const ShownRecord& record);
  /// Bytes of the partition's open file, uncompressed; 0: none is open.
  [[nodiscard]] std::uint64_t open_bytes(std::int32_t partition) const;
  /// Gives the partition's open file, if there is one, its final name. kIo: nothing more is
  /// published.
  [[nodiscard]] Status publish(std::int32_t partition);
  [[nodiscard]] Status publish_all();

  [[nodiscard]] std::uint64_t files() const noexcept { return files_; }
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_; }

 private:
  struct OpenFile {
    std::string name;
    std::ofstream out;
    std::unique_ptr<RecordEncoder> encoder;
    ExportEntry entry;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;  ///< greater: later
    bool broken = false;
  };

  ExportDirectory(std::string path, ExportPlan plan)
      : path_(std::move(path)), plan_(std::move(plan)) {}
  [[nodiscard]] Status lock();
  [[nodiscard]] Status take_up();
  [[nodiscard]] Status finish_entries();
  [[nodiscard]] Status remove_parts();
  [[nodiscard]] Status note_entries(const std::vector<ExportEntry>& entries);
  [[nodiscard]] Status give_name(OpenFile& file);
  void drop(std::int32_t partition);
  [[nodiscard]] Result<OpenFile*> file_for(std::int32_t partition);
  /// Opens the file's stream where it was closed to make room for others.
  [[nodiscard]] Status use(OpenFile& file);
  [[nodiscard]] Status make_room_for_stream();
  [[nodiscard]] std::string hidden(const std::string& name, std::string_view what) const;
  [[nodiscard]] std::string manifest() const { return path_ + "/manifest.jsonl"; }

  const std::string path_;
  const ExportPlan plan_;
  int lock_ = -1;
  std::map<std::int32_t, std::int64_t> next_;
  std::map<std::string, ExportEntry> named_;  ///< of the manifest, by file
  std::map<std::int32_t, OpenFile> open_;
  std::uint64_t uses_ = 0;
  std::string scratch_;
  bool stopped_ = false;  ///< something could not be published
  std::uint64_t files_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t unreadable_ = 0;
};

}  // namespace runnel::tools
