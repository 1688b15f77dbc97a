#include <charconv>
#include <optional>

#include "storage/snapshot.h"

namespace runnel::storage {
namespace {

constexpr std::string_view kTitle = "runnel snapshot";
constexpr std::string_view kEnd = "end";

/// Takes words off a line.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  /// False if the next word is another one.
  bool skip(std::string_view word) {
    if (!rest_.starts_with(word) || !rest_.substr(word.size()).starts_with(' ')) return false;
    rest_.remove_prefix(word.size() + 1);
    return true;
  }
  /// A number that ends at a space or with the line; after anything else ok() is false.
  template <class T>
  T number() {
    T value = 0;
    const auto [stop, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.data()));
    if (error != std::errc() || (!rest_.empty() && rest_.front() != ' ')) ok_ = false;
    if (!rest_.empty()) rest_.remove_prefix(1);
    return value;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

/// A name that stays inside of the directory.
bool is_file_name(std::string_view name) {
  return !name.empty() && name.front() != '/' && name.find("..") == std::string_view::npos;
}

bool read_line(std::string_view line, Snapshot& snapshot) {
  Words words(line);
  if (words.skip("taken")) {
    snapshot.taken = Timestamp(words.number<std::int64_t>());
    return words.ok() && words.rest().empty();
  }
  if (words.skip("file")) {
    SnapshotFile file;
    file.bytes = words.number<std::uint64_t>();
    file.size = words.number<std::uint64_t>();
    file.name = words.rest();
    snapshot.files.push_back(file);
    return words.ok() && file.size >= file.bytes && is_file_name(file.name);
  }
  if (words.skip("partition")) {
    SnapshotPartition partition;
    partition.id = PartitionId(words.number<std::uint32_t>());
    partition.index = PartitionIndex(words.number<std::int32_t>());
    partition.start = Offset(words.number<std::int64_t>());
    partition.end = Offset(words.number<std::int64_t>());
    partition.topic = words.rest();
    snapshot.partitions.push_back(partition);
    return words.ok() && !partition.topic.empty();
  }
  return false;
}

}  // namespace

std::string snapshot_text(const Snapshot& snapshot) {
  std::string text = std::string(kTitle) + "\ntaken " + std::to_string(snapshot.taken.value());
  for (const SnapshotFile& file : snapshot.files) {
    text += "\nfile " + std::to_string(file.bytes) + " " + std::to_string(file.size) + " ";
    text += file.name;
  }
  for (const SnapshotPartition& p : snapshot.partitions) {
    text += "\npartition " + std::to_string(p.id.value()) + " " + std::to_string(p.index.value()) +
            " " + std::to_string(p.start.value()) + " " + std::to_string(p.end.value()) + " ";
    text += p.topic;
  }
  return text + "\n" + std::string(kEnd) + "\n";
}

Result<Snapshot> parse_snapshot(std::string_view text) {
  Snapshot snapshot;
  bool ended = false;
  for (std::size_t number = 1; !text.empty() && !ended; ++number) {
    const std::size_t newline = text.find('\n');
    const std::string_view line = text.substr(0, newline);
    ended = newline != std::string_view::npos && line == kEnd;
    const bool fits = number == 1 ? line == kTitle : ended || read_line(line, snapshot);
    if (!fits || newline == std::string_view::npos) {
      return fail(ErrorCode::kMalformed, "line " + std::to_string(number) +
                                             " of it is none that a snapshot has: '" +
                                             std::string(line) + "'");
    }
    text.remove_prefix(newline + 1);
  }
  if (!ended || !text.empty()) {
    return fail(ErrorCode::kMalformed, "it does not end with the line 'end'");
  }
  return snapshot;
}

Result<Snapshot> read_snapshot(FileSystem& fs, const std::string& directory) {
  const std::string path = directory + "/SNAPSHOT";
  RUNNEL_TRY_ASSIGN(const std::string text, fs.read_file(path));
  auto snapshot = parse_snapshot(text);
  if (!snapshot) return fail(snapshot.error().within(path));
  snapshot->directory = directory;
  return snapshot;
}

}  // namespace runnel::storage
