#include "tools/transfer/export_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "protocol/text/units.h"
#include "tools/text/json.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kManifestVersion = 1;
/// About what a record of a batch has besides key and value, in bytes.
constexpr std::uint64_t kRecordOverhead = 16;
constexpr std::string_view kPart = ".part";
constexpr std::string_view kPacked = ".packed";
constexpr std::string_view kEntry = ".entry";

/// What the names of a topic's files begin with: not hidden, and short enough for what is added.
std::string stem_of(const std::string& topic) {
  constexpr std::size_t kMostBytes = 180;
  std::string stem = topic.substr(0, kMostBytes);
  if (stem.starts_with('.')) stem.replace(0, 1, "_");
  return stem + "-";
}

std::string file_name(const ExportPlan& plan, std::int32_t partition, std::int64_t from) {
  std::string digits = std::to_string(from);
  digits.insert(0, 20 - std::min<std::size_t>(20, digits.size()), '0');
  return stem_of(plan.topic) + std::to_string(partition) + "-" + digits + "." +
         std::string(name_of(plan.format)) + std::string(suffix_of(plan.codec));
}

Result<std::int64_t> integer(const JsonDocument& line, std::string_view path) {
  if (const auto value = line.integer_at(path)) return *value;
  return fail(ErrorCode::kMalformed, "it has no number " + std::string(path.substr(1)));
}

Result<std::string> text(const JsonDocument& line, std::string_view path) {
  if (auto value = line.text_at(path)) return *value;
  return fail(ErrorCode::kMalformed, "it has no " + std::string(path.substr(1)));
}

Result<ExportPlan> plan_of(const JsonDocument& line) {
  RUNNEL_TRY_ASSIGN(const std::int64_t version, integer(line, ".runnel_export"));
  if (version != kManifestVersion) {
    return fail(ErrorCode::kUnsupported, "it is of version " + std::to_string(version) +
                                             ", which this program does not know; use the one "
                                             "that wrote it or a newer one");
  }
  ExportPlan plan;
  RUNNEL_TRY_ASSIGN(plan.topic, text(line, ".topic"));
  RUNNEL_TRY_ASSIGN(plan.topic_id, text(line, ".topic_id"));
  RUNNEL_TRY_ASSIGN(plan.cluster, text(line, ".cluster"));
  RUNNEL_TRY_ASSIGN(const auto format, text(line, ".format"));
  RUNNEL_TRY_ASSIGN(plan.format, export_format_named(format));
  RUNNEL_TRY_ASSIGN(const auto codec, text(line, ".compression"));
  RUNNEL_TRY_ASSIGN(plan.codec, file_codec_named(codec));
  if (const auto columns = line.text_at(".columns")) {
    RUNNEL_TRY_ASSIGN(plan.columns, parse_columns(*columns));
  }
  return plan;
}

Result<ExportEntry> entry_of(const JsonDocument& line) {
  ExportEntry entry;
  RUNNEL_TRY_ASSIGN(const std::int64_t partition, integer(line, ".partition"));
  entry.partition = static_cast<std::int32_t>(partition);
  RUNNEL_TRY_ASSIGN(entry.from, integer(line, ".from"));
  RUNNEL_TRY_ASSIGN(entry.to, integer(line, ".to"));
  if (line.has(".lost") || line.has(".begins")) return entry;
  RUNNEL_TRY_ASSIGN(entry.file, text(line, ".file"));
  if (entry.file.empty() || entry.file.front() == '.' ||
      entry.file.find('/') != std::string::npos) {
    return fail(ErrorCode::kMalformed, "'" + entry.file + "' is no file of this directory");
  }
  RUNNEL_TRY_ASSIGN(const std::int64_t records, integer(line, ".records"));
  RUNNEL_TRY_ASSIGN(const std::int64_t unreadable, integer(line, ".unreadable"));
  RUNNEL_TRY_ASSIGN(const std::int64_t bytes, integer(line, ".bytes"));
  RUNNEL_TRY_ASSIGN(entry.first_time, integer(line, ".first_time"));
  RUNNEL_TRY_ASSIGN(entry.last_time, integer(line, ".last_time"));
  RUNNEL_TRY_ASSIGN(entry.sum.xxh3, text(line, ".xxh3"));
  entry.records = static_cast<std::uint64_t>(records);
  entry.unreadable = static_cast<std::uint64_t>(unreadable);
  entry.sum.bytes = static_cast<std::uint64_t>(bytes);
  return entry;
}

Result<std::string> content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(file_error("read", path));
  std::ostringstream out;
  out << in.rdbuf();
  if (in.bad() || out.bad()) return fail(file_error("read all of", path));
  return out.str();
}

Result<std::vector<std::string>> names_in(const std::string& path) {
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator at(path, failed), end; !failed && at != end; at.increment(failed)) {
    names.push_back(at->path().filename());
  }
  if (failed) return fail(ErrorCode::kIo, "cannot list " + path + ": " + failed.message());
  return names;
}

Error other_plan(const std::string& path, const ExportPlan& there, const ExportPlan& asked) {
  if (there.topic == asked.topic && there.topic_id != asked.topic_id) {
    return Error(ErrorCode::kInvalidArgument,
                 path +
                     " holds an export of another topic of that name, which was deleted; name "
                     "another directory");
  }
  return Error(ErrorCode::kInvalidArgument,
               path + " holds an export of topic " + there.topic + " of cluster " + there.cluster +
                   " as " + std::string(name_of(there.format)) + ", compression " +
                   std::string(name_of(there.codec)) +
                   (there.columns.empty() ? "" : ", columns " + text_of(there.columns)) +
                   "; go on with the same, or name another directory");
}

}  // namespace

std::string manifest_line(const ExportPlan& plan) {
  std::string out = "{\"runnel_export\":" + std::to_string(kManifestVersion);
  out += ",\"topic\":" + json_string(plan.topic) + ",\"topic_id\":" + json_string(plan.topic_id) +
         ",\"cluster\":" + json_string(plan.cluster);
  out += ",\"format\":" + json_string(name_of(plan.format));
  out += ",\"compression\":" + json_string(name_of(plan.codec));
  if (!plan.columns.empty()) out += ",\"columns\":" + json_string(text_of(plan.columns));
  return out + "}\n";
}

std::string manifest_line(const ExportEntry& entry) {
  std::string out = "{\"partition\":" + std::to_string(entry.partition) +
                    ",\"from\":" + std::to_string(entry.from) +
                    ",\"to\":" + std::to_string(entry.to);
  if (entry.file.empty()) {
    return out + (entry.from == entry.to ? ",\"begins\":true}\n" : ",\"lost\":true}\n");
  }
  out += ",\"file\":" + json_string(entry.file) + ",\"records\":" + std::to_string(entry.records) +
         ",\"unreadable\":" + std::to_string(entry.unreadable) +
         ",\"first_time\":" + std::to_string(entry.first_time) +
         ",\"last_time\":" + std::to_string(entry.last_time) +
         ",\"bytes\":" + std::to_string(entry.sum.bytes) +
         ",\"xxh3\":" + json_string(entry.sum.xxh3);
  return out + "}\n";
}

Result<Manifest> read_manifest(const std::string& directory) {
  const std::string path = directory + "/manifest.jsonl";
  RUNNEL_TRY_ASSIGN(const std::string content, content_of(path));
  Manifest manifest;
  std::size_t number = 0;
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t end = content.find('\n', at);
    if (end == std::string::npos) break;
    const std::string place = path + " line " + std::to_string(++number);
    const auto line = JsonDocument::parse(std::string_view(content).substr(at, end - at));
    if (!line) return fail(Error(ErrorCode::kMalformed, line.error().message()).within(place));
    at = end + 1;
    if (number == 1) {
      auto plan = plan_of(*line);
      if (!plan) return fail(plan.error().within(place));
      manifest.plan = std::move(*plan);
      continue;
    }
    auto entry = entry_of(*line);
    if (!entry) return fail(entry.error().within(place));
    manifest.entries.push_back(std::move(*entry));
  }
  if (number == 0) return fail(ErrorCode::kNotFound, path + " is empty");
  return manifest;
}

Result<std::unique_ptr<ExportDirectory>> ExportDirectory::open(const std::string& path,
                                                               const ExportPlan& plan) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) {
    return fail(ErrorCode::kIo, "cannot create " + path + ": " + failed.message());
  }
  RUNNEL_TRY(sync_path(fs::absolute(path, failed).lexically_normal().parent_path()));
  std::unique_ptr<ExportDirectory> made(new ExportDirectory(path, plan));
  RUNNEL_TRY(made->lock());
  RUNNEL_TRY(made->take_up());
  return made;
}

ExportDirectory::~ExportDirectory() {
  for (auto& [partition, file] : open_) {
    file.out.close();
    ::unlink(hidden(file.name, kPart).c_str());
  }
  if (lock_ >= 0) ::close(lock_);
}

Status ExportDirectory::lock() {
  const std::string path = path_ + "/.lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) return fail(file_error("write", path));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return {};
  return fail(ErrorCode::kLocked, "another export is writing to " + path_);
}

std::string ExportDirectory::hidden(const std::string& name, std::string_view what) const {
  return path_ + "/." + name + std::string(what);
}

Status ExportDirectory::take_up() {
  auto manifest_there = read_manifest(path_);
  if (!manifest_there && manifest_there.error().code() != ErrorCode::kNotFound) {
    return fail(manifest_there.error());
  }
  if (!manifest_there) {
    const std::string fresh = hidden("manifest", ".new");
    std::error_code none;
    fs::remove(fresh, none);
    RUNNEL_TRY(append_synced(fresh, manifest_line(plan_)));
    if (std::rename(fresh.c_str(), manifest().c_str()) != 0) {
      return fail(file_error("write", manifest()));
    }
  } else {
    if (manifest_there->plan != plan_) return fail(other_plan(path_, manifest_there->plan, plan_));
    for (const ExportEntry& entry : manifest_there->entries) {
      next_[entry.partition] = entry.to;
      if (!entry.file.empty()) named_[entry.file] = entry;
    }
    RUNNEL_TRY_ASSIGN(const std::string content, content_of(manifest()));
    if (!content.ends_with('\n')) {  // a line that a crash cut off
      std::error_code failed;
      fs::resize_file(manifest(), content.rfind('\n') + 1, failed);
      if (failed) return fail(ErrorCode::kIo, manifest() + ": " + failed.message());
    }
  }
  RUNNEL_TRY(finish_entries());
  RUNNEL_TRY(remove_parts());
  return sync_path(path_);
}

/// A crash between a file's final name and its line in the manifest. Whoever collects the files may
/// have taken it meanwhile; that it got its name shows in the other name being gone.
Status ExportDirectory::finish_entries() {
  RUNNEL_TRY_ASSIGN(const auto names, names_in(path_));
  std::error_code none;
  for (const std::string& name : names) {
    if (!name.starts_with('.') || !name.ends_with(kEntry)) continue;
    RUNNEL_TRY_ASSIGN(const std::string line, content_of(path_ + "/" + name));
    const auto document = JsonDocument::parse(line);
    const auto entry = document ? entry_of(*document) : fail(document.error());
    const bool whole = entry && line.ends_with('\n');
    if (whole && !fs::exists(hidden(entry->file, kPacked), none) && !named_.contains(entry->file)) {
      RUNNEL_TRY(append_synced(manifest(), line));
      next_[entry->partition] = entry->to;
      named_[entry->file] = *entry;
    }
    fs::remove(path_ + "/" + name, none);
  }
  // Before the packed files go: an entry without one counts.
  return sync_path(path_);
}

Status ExportDirectory::remove_parts() {
  RUNNEL_TRY_ASSIGN(const auto names, names_in(path_));
  std::error_code none;
  for (const std::string& name : names) {
    const bool part = name.ends_with(kPart) || name.ends_with(kPacked) || name.ends_with(".new");
    if (name.starts_with('.') && part) fs::remove(path_ + "/" + name, none);
    if (name.starts_with('.') || name == "manifest.jsonl" || named_.contains(name)) continue;
    if (!name.starts_with(stem_of(plan_.topic))) continue;
    return fail(ErrorCode::kInvalidArgument,
                path_ + " holds " + name +
                    ", which its manifest does not name; move it away, or name another directory");
  }
  return {};
}

Status ExportDirectory::note_entries(const std::vector<ExportEntry>& entries) {
  std::string lines;
  for (const ExportEntry& entry : entries) lines += manifest_line(entry);
  const Status noted = append_synced(manifest(), lines);
  stopped_ = stopped_ || !noted;  // half a line may stand at its end
  RUNNEL_TRY(noted);
  for (const ExportEntry& entry : entries) next_[entry.partition] = entry.to;
  return {};
}

Status ExportDirectory::begin_at(const std::map<std::int32_t, std::int64_t>& offsets) {
  std::vector<ExportEntry> entries;
  for (const auto& [partition, offset] : offsets) {
    ExportEntry& entry = entries.emplace_back();
    entry.partition = partition;
    entry.from = entry.to = offset;
  }
  return entries.empty() ? Status() : note_entries(entries);
}

Status ExportDirectory::skip_to(std::int32_t partition, std::int64_t to) {
  ExportEntry entry;
  entry.partition = partition;
  entry.from = next_[partition];
  entry.to = to;
  return note_entries({entry});
}

Result<ExportDirectory::OpenFile*> ExportDirectory::file_for(std::int32_t partition) {
  const auto found = open_.find(partition);
  if (found != open_.end()) return &found->second;
  OpenFile& file = open_[partition];
  file.entry.partition = partition;
  file.entry.from = next_[partition];
  file.name = file_name(plan_, partition, file.entry.from);
  file.entry.file = file.name;
  file.encoder = make_encoder(plan_.format, plan_.columns);
  const std::string path = hidden(file.name, kPart);
  ::unlink(path.c_str());  // of a run that was cut off
  if (const Status opened = use(file); !opened) {
    open_.erase(partition);
    return fail(opened.error());
  }
  scratch_.clear();
  file.encoder->begin(scratch_);
  file.out << scratch_;
  file.bytes = scratch_.size();
  return &file;
}

Status ExportDirectory::use(OpenFile& file) {
  file.used = ++uses_;
  if (file.out.is_open()) return {};
  RUNNEL_TRY(make_room_for_stream());
  const std::string path = hidden(file.name, kPart);
  file.out.open(path, std::ios::binary | std::ios::app);
  if (file.out) return {};
  file.broken = true;
  return fail(file_error("write", path));
}

Status ExportDirectory::make_room_for_stream() {
  std::size_t streams = 0;
  OpenFile* longest = nullptr;
  for (auto& [partition, file] : open_) {
    if (!file.out.is_open()) continue;
    ++streams;
    if (longest == nullptr || file.used < longest->used) longest = &file;
  }
  if (streams < kMaxExportStreams) return {};
  longest->out.close();
  if (longest->out) return {};
  longest->broken = true;
  return fail(file_error("write all of", hidden(longest->name, kPart)));
}

Status ExportDirectory::add(const ShownRecord& record) {
  RUNNEL_TRY_ASSIGN(OpenFile* const file, file_for(record.partition));
  RUNNEL_TRY(use(*file));
  scratch_.clear();
  const Status added = file->encoder->add(record, scratch_);
  file->broken = file->broken || file->encoder->broken();
  RUNNEL_TRY(added);
  file->out << scratch_;
  if (!file->out) {
    file->broken = true;
    return fail(file_error("write all of", hidden(file->name, kPart)));
  }
  // Batches are held back, and counted by what they will hold.
  const bool held_back = plan_.format == ExportFormat::kBatch;
  file->bytes += held_back ? kRecordOverhead + record.key.value_or("").size() +
                                 record.value.value_or("").size()
                           : scratch_.size();
  ExportEntry& entry = file->entry;
  entry.first_time =
      entry.records == 0 ? record.timestamp : std::min(entry.first_time, record.timestamp);
  entry.last_time =
      entry.records == 0 ? record.timestamp : std::max(entry.last_time, record.timestamp);
  entry.to = record.offset + 1;
  ++entry.records;
  return {};
}

std::uint64_t ExportDirectory::open_bytes(std::int32_t partition) const {
  const auto found = open_.find(partition);
  return found == open_.end() || found->second.entry.records == 0 ? 0 : found->second.bytes;
}

void ExportDirectory::drop(std::int32_t partition) {
  const auto found = open_.find(partition);
  if (found == open_.end()) return;
  found->second.out.close();
  ::unlink(hidden(found->second.name, kPart).c_str());
  open_.erase(found);
}

Status ExportDirectory::publish(std::int32_t partition) {
  const auto found = open_.find(partition);
  if (found == open_.end()) return {};
  OpenFile& file = found->second;
  if (stopped_ || file.broken || file.entry.records == 0) {
    drop(partition);
    return {};
  }
  const Status given = give_name(file);
  if (!given) {
    stopped_ = true;
    drop(partition);
    return given;
  }
  ++files_;
  records_ += file.entry.records;
  unreadable_ += file.entry.unreadable;
  open_.erase(found);
  return {};
}

Status ExportDirectory::give_name(OpenFile& file) {
  const std::string part = hidden(file.name, kPart);
  const std::string packed = hidden(file.name, kPacked);
  scratch_.clear();
  RUNNEL_TRY(file.encoder->end(scratch_));
  RUNNEL_TRY(use(file));
  file.out << scratch_;
  file.out.close();
  if (!file.out) return fail(file_error("write all of", part));
  RUNNEL_TRY(compress_file(part, packed, plan_.codec));
  ::unlink(part.c_str());
  RUNNEL_TRY_ASSIGN(file.entry.sum, sum_of(packed));
  file.entry.unreadable = file.encoder->unreadable();
  const std::string entry = hidden(file.name, kEntry);
  std::error_code none;
  fs::remove(entry, none);
  RUNNEL_TRY(append_synced(entry, manifest_line(file.entry)));
  RUNNEL_TRY(sync_path(path_));
  if (std::rename(packed.c_str(), (path_ + "/" + file.name).c_str()) != 0) {
    return fail(file_error("write", path_ + "/" + file.name));
  }
  RUNNEL_TRY(sync_path(path_));
  RUNNEL_TRY(note_entries({file.entry}));
  fs::remove(entry, none);
  named_[file.name] = file.entry;
  return {};
}

Status ExportDirectory::publish_all() {
  while (!open_.empty()) RUNNEL_TRY(publish(open_.begin()->first));
  return {};
}

}  // namespace runnel::tools
