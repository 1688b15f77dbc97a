#include "storage/log/quarantine.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "storage/log/directory.h"

namespace runnel::storage {
namespace {

constexpr std::string_view kFirstLine = "runnel quarantine 1";
constexpr std::string_view kSuffix = ".txt";
constexpr std::string_view kNone = "none";
constexpr std::uint64_t kCopyBytes = 1u << 20;

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Up to the next `end`, which is taken as well.
std::string_view take(std::string_view& rest, char end) {
  const std::size_t at = std::min(rest.find(end), rest.size());
  const std::string_view word = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return word;
}

bool read_lost(std::string_view rest, Quarantined& to) {
  LostRange lost;
  lost.topic = std::string(take(rest, ' '));
  const auto partition = number<std::int32_t>(take(rest, ' '));
  const auto first = number<std::int64_t>(take(rest, ' '));
  const auto last = number<std::int64_t>(rest);
  if (lost.topic.empty() || !partition || !first || !last) return false;
  lost.partition = PartitionIndex(*partition);
  lost.first = Offset(*first);
  lost.last = Offset(*last);
  to.lost.push_back(std::move(lost));
  return true;
}

bool read_number(std::string_view text, std::uint64_t& to) {
  const auto value = number<std::uint64_t>(text);
  to = value.value_or(0);
  return value.has_value();
}

bool read_line(std::string_view line, Quarantined& to) {
  const std::string_view word = take(line, ' ');
  if (word == "file") to.file = std::string(line);
  if (word == "reason") to.reason = std::string(line);
  if (word == "bytes") to.bytes = line == kNone ? std::string() : std::string(line);
  if (word == "position") return read_number(line, to.position);
  if (word == "length") return read_number(line, to.length);
  if (word == "lost") return read_lost(line, to);
  if (word != "found") return true;
  const auto found = number<std::int64_t>(line);
  to.found = Timestamp(found.value_or(0));
  return found.has_value();
}

std::string quarantine_of(const std::string& directory) {
  return DirectoryPaths(directory).quarantine;
}

/// The name of what is kept of a range, without its suffix.
std::string name_of(const Quarantined& what) {
  const std::size_t slash = what.file.rfind('/');
  const std::string file = slash == std::string::npos ? what.file : what.file.substr(slash + 1);
  return file + "-" + std::to_string(what.position);
}

Status copy_range(FileSystem& fs, const std::string& from, const Quarantined& what,
                  const std::string& to) {
  RUNNEL_TRY_ASSIGN(const auto source, fs.open(from, {}));
  RUNNEL_TRY_ASSIGN(const auto copy,
                    fs.open(to, {.write = true, .create = true, .truncate = true}));
  Buffer window = Buffer::allocate(static_cast<std::size_t>(std::min(what.length, kCopyBytes)));
  for (std::uint64_t at = 0; at < what.length;) {
    const std::uint64_t want = std::min<std::uint64_t>(window.size(), what.length - at);
    RUNNEL_TRY_ASSIGN(const std::size_t got,
                      source->read(what.position + at, window.mutable_bytes().first(want)));
    if (got == 0) break;  // the file was cut short
    RUNNEL_TRY(copy->write(at, window.bytes().first(got)));
    at += got;
  }
  return copy->sync();
}

Status make_quarantine(FileSystem& fs, const std::string& directory) {
  RUNNEL_TRY(fs.create_directory(quarantine_of(directory)));
  return fs.sync_directory(directory);
}

}  // namespace

std::string LostRange::to_string() const {
  return topic + "[" + std::to_string(partition.value()) + "] offsets " +
         std::to_string(first.value()) + " to " + std::to_string(last.value());
}

std::string encode(const Quarantined& what) {
  std::string text(kFirstLine);
  text += "\nfile " + what.file + "\nposition " + std::to_string(what.position) + "\nlength " +
          std::to_string(what.length) + "\nfound " + std::to_string(what.found.value());
  std::string reason = what.reason;
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  text +=
      "\nreason " + reason + "\nbytes " + (what.bytes.empty() ? std::string(kNone) : what.bytes);
  for (const LostRange& l : what.lost) {
    text += "\nlost " + l.topic + " " + std::to_string(l.partition.value()) + " " +
            std::to_string(l.first.value()) + " " + std::to_string(l.last.value());
  }
  return text + "\n";
}

Result<Quarantined> decode_quarantined(std::string_view text) {
  if (take(text, '\n') != kFirstLine) {
    return fail(ErrorCode::kCorrupt, "does not begin with \"" + std::string(kFirstLine) + "\"");
  }
  Quarantined what;
  while (!text.empty()) {
    const std::string_view line = take(text, '\n');
    if (!read_line(line, what)) {
      return fail(ErrorCode::kCorrupt, "the line \"" + std::string(line) + "\" can't be read");
    }
  }
  if (what.file.empty()) return fail(ErrorCode::kCorrupt, "does not say which file");
  return what;
}

Result<std::vector<Quarantined>> read_quarantine(FileSystem& fs, const std::string& directory) {
  std::vector<Quarantined> all;
  const std::string quarantine = quarantine_of(directory);
  if (!fs.exists(quarantine)) return all;
  RUNNEL_TRY_ASSIGN(auto entries, fs.list(quarantine));
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  for (const DirectoryEntry& entry : entries) {
    if (entry.is_directory || !entry.name.ends_with(kSuffix)) continue;
    const std::string path = quarantine + "/" + entry.name;
    RUNNEL_TRY_ASSIGN(const std::string text, fs.read_file(path));
    auto what = decode_quarantined(text);
    if (!what) return fail(what.error().within(path));
    all.push_back(std::move(*what));
  }
  return all;
}

Status put_into_quarantine(FileSystem& fs, const std::string& directory, Quarantined& what) {
  RUNNEL_TRY(make_quarantine(fs, directory));
  const std::string quarantine = quarantine_of(directory);
  const auto described = [&](const std::string& of) {
    return quarantine + "/" + of + std::string(kSuffix);
  };
  std::string name = name_of(what);
  for (int n = 2; fs.exists(described(name)); ++n) {
    RUNNEL_TRY_ASSIGN(const std::string text, fs.read_file(described(name)));
    auto before = decode_quarantined(text);
    if (before && before->position == what.position && before->length == what.length) {
      // Of a repair that was interrupted.
      if (before->lost.size() >= what.lost.size()) what = std::move(*before);
      break;
    }
    name = name_of(what) + "-" + std::to_string(n);
  }
  const std::string source = directory + "/" + what.file;
  if (what.bytes.empty() && what.length != 0 && fs.exists(source)) {
    what.bytes = name + ".bytes";
    RUNNEL_TRY(copy_range(fs, source, what, quarantine + "/" + what.bytes));
  }
  const std::string text = encode(what);
  return fs.replace_file(described(name), as_bytes(text));
}

Status quarantine_index(FileSystem& fs, const std::string& directory, Timestamp now,
                        Quarantined& what) {
  RUNNEL_TRY(make_quarantine(fs, directory));
  const std::string quarantine = quarantine_of(directory);
  const std::string index = DirectoryPaths(directory).index;
  what.bytes = "index-" + std::to_string(now.value());
  const std::string text = encode(what);
  RUNNEL_TRY(fs.replace_file(quarantine + "/" + what.bytes + std::string(kSuffix), as_bytes(text)));
  const std::string to = quarantine + "/" + what.bytes;
  // In one step: a part of an index is none, and what is left of one goes when a new one is built.
  RUNNEL_TRY(fs.rename(index, to));
  RUNNEL_TRY(fs.sync_directory(quarantine));
  RUNNEL_TRY(fs.sync_directory(directory));
  RUNNEL_TRY(fs.create_directory(index));
  return fs.sync_directory(directory);
}

}  // namespace runnel::storage
