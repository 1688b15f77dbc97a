#include "tools/backup/manifest.h"

#include <algorithm>

#include "tools/backup/copy.h"
#include "tools/text/json.h"

namespace runnel::tools {
namespace {

constexpr std::int64_t kBackupVersion = 1;

Result<std::int64_t> number_at(const JsonDocument& line, std::string_view path) {
  const auto value = line.integer_at(path);
  if (value && *value >= 0) return *value;
  return fail(ErrorCode::kMalformed, "it has no number " + std::string(path.substr(1)));
}

Result<std::string> text_at(const JsonDocument& line, std::string_view path) {
  if (auto value = line.text_at(path)) return *value;
  return fail(ErrorCode::kMalformed, "it has no " + std::string(path.substr(1)));
}

Status read_head(const JsonDocument& line, Backup& backup) {
  RUNNEL_TRY_ASSIGN(const std::int64_t version, number_at(line, ".runnel_backup"));
  if (version != kBackupVersion) {
    return fail(ErrorCode::kFormatTooNew,
                "it is of version " + std::to_string(version) +
                    ", which this program does not know; use a newer one");
  }
  RUNNEL_TRY_ASSIGN(backup.id, text_at(line, ".id"));
  RUNNEL_TRY_ASSIGN(backup.store, text_at(line, ".store"));
  RUNNEL_TRY_ASSIGN(backup.taken, number_at(line, ".taken"));
  RUNNEL_TRY_ASSIGN(const std::int64_t added, number_at(line, ".added"));
  backup.added = static_cast<std::uint64_t>(added);
  return {};
}

Status read_file(const JsonDocument& line, Backup& backup) {
  BackupFile file;
  RUNNEL_TRY_ASSIGN(file.name, text_at(line, ".file"));
  if (file.name.empty() || file.name.front() == '/' || file.name.find("..") != std::string::npos) {
    return fail(ErrorCode::kMalformed, "'" + file.name + "' is no name of a file of a store");
  }
  RUNNEL_TRY_ASSIGN(const std::int64_t size, number_at(line, ".size"));
  file.size = static_cast<std::uint64_t>(size);
  RUNNEL_TRY_ASSIGN(file.modified, number_at(line, ".modified"));
  for (std::size_t i = 0;; ++i) {
    const std::string part = ".parts[" + std::to_string(i) + "]";
    if (!line.has(part)) break;
    RUNNEL_TRY_ASSIGN(const std::int64_t bytes, number_at(line, part + ".bytes"));
    RUNNEL_TRY_ASSIGN(auto xxh3, text_at(line, part + ".xxh3"));
    file.parts.push_back({static_cast<std::uint64_t>(bytes), std::move(xxh3)});
  }
  backup.files.push_back(std::move(file));
  return {};
}

Status read_partition(const JsonDocument& line, Backup& backup) {
  storage::SnapshotPartition partition;
  RUNNEL_TRY_ASSIGN(partition.topic, text_at(line, ".topic"));
  RUNNEL_TRY_ASSIGN(const std::int64_t index, number_at(line, ".partition"));
  RUNNEL_TRY_ASSIGN(const std::int64_t id, number_at(line, ".id"));
  RUNNEL_TRY_ASSIGN(const std::int64_t start, number_at(line, ".start"));
  RUNNEL_TRY_ASSIGN(const std::int64_t end, number_at(line, ".end"));
  partition.index = PartitionIndex(static_cast<std::int32_t>(index));
  partition.id = PartitionId(static_cast<std::uint32_t>(id));
  partition.start = Offset(start);
  partition.end = Offset(end);
  backup.partitions.push_back(std::move(partition));
  return {};
}

Status read_line(std::string_view text, bool first, Backup& backup) {
  const auto line = JsonDocument::parse(text);
  if (!line) return fail(ErrorCode::kMalformed, line.error().message());
  if (first) return read_head(*line, backup);
  return line->has(".file") ? read_file(*line, backup) : read_partition(*line, backup);
}

std::string end_line(std::string_view before) {
  return "{\"end\":true,\"xxh3\":\"" + xxh3_of(before) + "\"}\n";
}

}  // namespace

std::uint64_t BackupFile::bytes() const {
  std::uint64_t sum = 0;
  for (const BackupPart& part : parts) sum += part.bytes;
  return sum;
}

std::uint64_t Backup::bytes() const {
  std::uint64_t sum = 0;
  for (const BackupFile& file : files) sum += file.bytes();
  return sum;
}

const BackupFile* Backup::file(std::string_view name) const {
  const auto it =
      std::find_if(files.begin(), files.end(), [&](const BackupFile& f) { return f.name == name; });
  return it == files.end() ? nullptr : &*it;
}

std::string backup_text(const Backup& backup) {
  std::string out =
      "{\"runnel_backup\":" + std::to_string(kBackupVersion) + ",\"id\":" + json_string(backup.id) +
      ",\"store\":" + json_string(backup.store) + ",\"taken\":" + std::to_string(backup.taken) +
      ",\"added\":" + std::to_string(backup.added) + "}\n";
  for (const BackupFile& file : backup.files) {
    out += "{\"file\":" + json_string(file.name) + ",\"size\":" + std::to_string(file.size) +
           ",\"modified\":" + std::to_string(file.modified) + ",\"parts\":[";
    for (const BackupPart& part : file.parts) {
      if (out.back() != '[') out += ',';
      out += "{\"bytes\":" + std::to_string(part.bytes) + ",\"xxh3\":" + json_string(part.xxh3);
      out += '}';
    }
    out += "]}\n";
  }
  for (const storage::SnapshotPartition& p : backup.partitions) {
    out += "{\"topic\":" + json_string(p.topic) +
           ",\"partition\":" + std::to_string(p.index.value()) +
           ",\"id\":" + std::to_string(p.id.value()) +
           ",\"start\":" + std::to_string(p.start.value()) +
           ",\"end\":" + std::to_string(p.end.value()) + "}\n";
  }
  return out + end_line(out);
}

Result<Backup> parse_backup(std::string_view text) {
  const std::size_t newline =
      text.substr(0, text.size() - std::min<std::size_t>(text.size(), 1)).rfind('\n');
  const std::size_t body = newline == std::string_view::npos ? 0 : newline + 1;
  if (body == 0 || text.substr(body) != end_line(text.substr(0, body))) {
    return fail(ErrorCode::kMalformed, "it is damaged: its checksum is wrong or its end missing");
  }
  Backup backup;
  std::string_view rest = text.substr(0, body);
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const Status read = read_line(rest.substr(0, end), number == 1, backup);
    if (!read) return fail(read.error().within("line " + std::to_string(number)));
    rest.remove_prefix(end + 1);
  }
  return backup;
}

}  // namespace runnel::tools
