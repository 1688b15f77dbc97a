#include "tools/backup/chain.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "storage/segments/segment_files.h"
#include "tools/text/time.h"

namespace runnel::tools {
namespace {

constexpr std::string_view kSegments = "segments/";

/// The number of a segment of the journal.
std::optional<std::uint32_t> journal_number(const std::string& name) {
  if (!name.starts_with(kSegments)) return std::nullopt;
  return storage::parse_segment_file_name(std::string_view(name).substr(kSegments.size()));
}

bool continues(const BackupFile& later, const BackupFile& before) {
  return later.parts.size() >= before.parts.size() &&
         std::equal(before.parts.begin(), before.parts.end(), later.parts.begin());
}

class Joining {
 public:
  explicit Joining(const Backup& base) : base_(base) {
    for (const BackupFile& file : base.files) {
      const auto number = journal_number(file.name);
      if (number && *number >= from_.segment) {
        from_ = {*number, static_cast<std::uint32_t>(file.bytes())};
      }
      files_[file.name] = file;
    }
    last_ = from_.segment;
  }

  /// Takes what `later` has of the segments; false if it does not follow.
  bool add(const Backup& later) {
    std::map<std::uint32_t, const BackupFile*> journal;
    for (const BackupFile& file : later.files) {
      if (!file.name.starts_with(kSegments)) continue;
      const auto number = journal_number(file.name);
      if (number && *number >= last_) journal[*number] = &file;
      const auto known = files_.find(file.name);
      if (known != files_.end() && !continues(file, known->second)) {
        // The same history, seen earlier, or that of a store which went another way.
        return stop("backup " + later.id + " goes on from another state than backup " + base_.id +
                    "'s");
      }
      if (!number) files_[file.name] = file;
    }
    for (const auto& [number, file] : journal) {
      if (number > last_ + 1 || (number == last_ + 1 && !journal.contains(last_) && last_ != 0)) {
        return stop("part of what was written before backup " + later.id +
                    " was deleted before that was made");
      }
      files_[file->name] = *file;
      last_ = number;
    }
    return true;
  }

  Chain finish() {
    Chain chain{base_, from_, broken_};
    chain.backup.files.clear();
    for (auto& [name, file] : files_) chain.backup.files.push_back(std::move(file));
    return chain;
  }

 private:
  bool stop(std::string why) {
    broken_ = std::move(why);
    return false;
  }

  const Backup& base_;
  storage::Position from_;
  std::uint32_t last_ = 0;  ///< of the journal's segments
  std::map<std::string, BackupFile> files_;
  std::string broken_;
};

/// Whether the backup has something behind the limit.
bool is_beyond(const Backup& backup, const storage::OffsetLimit& limit) {
  return std::any_of(backup.partitions.begin(), backup.partitions.end(), [&](const auto& p) {
    return p.topic == limit.topic && p.index == limit.partition && p.end > limit.offset;
  });
}

bool knows(const Backup& backup, const storage::OffsetLimit& limit) {
  return std::any_of(backup.partitions.begin(), backup.partitions.end(), [&](const auto& p) {
    return p.topic == limit.topic && p.index == limit.partition;
  });
}

std::string describe(const storage::OffsetLimit& limit) {
  return limit.topic + "[" + std::to_string(limit.partition.value()) + "]";
}

/// Which backup the moment before `limit` is behind.
Result<std::size_t> base_for(const std::vector<Backup>& backups,
                             const storage::OffsetLimit& limit) {
  std::optional<std::size_t> last_known;
  for (std::size_t i = 0; i < backups.size(); ++i) {
    if (knows(backups[i], limit)) last_known = i;
    if (!is_beyond(backups[i], limit)) continue;
    if (i > 0) return i - 1;
    return fail(ErrorCode::kNotFound, "the first backup, " + backups[0].id + ", holds " +
                                          describe(limit) + " beyond offset " +
                                          std::to_string(limit.offset.value()) + " already");
  }
  if (last_known) return *last_known;
  return fail(ErrorCode::kNotFound, "no backup knows " + describe(limit));
}

}  // namespace

Result<Chain> chain_to_time(const std::vector<Backup>& backups, std::int64_t time) {
  const auto after =
      std::find_if(backups.begin(), backups.end(), [&](const Backup& b) { return b.taken > time; });
  if (backups.empty()) return fail(ErrorCode::kNotFound, "there is no backup");
  if (after == backups.begin()) {
    return fail(ErrorCode::kNotFound, "the first backup is of " +
                                          format_time(backups.front().taken) +
                                          "; nothing before it can be restored");
  }
  Joining joining(*std::prev(after));
  if (after != backups.end()) (void)joining.add(*after);
  return joining.finish();
}

Result<Chain> chain_to_limits(const std::vector<Backup>& backups,
                              const std::vector<storage::OffsetLimit>& limits) {
  std::size_t base = backups.size();
  for (const auto& limit : limits) {
    RUNNEL_TRY_ASSIGN(const std::size_t mine, base_for(backups, limit));
    base = std::min(base, mine);
  }
  if (base == backups.size()) return fail(ErrorCode::kNotFound, "there is no backup");
  Joining joining(backups[base]);
  for (std::size_t i = base + 1; i < backups.size(); ++i) {
    if (!joining.add(backups[i])) break;
    const auto beyond = [&](const auto& limit) { return is_beyond(backups[i], limit); };
    if (std::any_of(limits.begin(), limits.end(), beyond)) break;
  }
  return joining.finish();
}

Result<storage::OffsetLimit> parse_limit(std::string_view text) {
  const std::size_t open = text.rfind('[');
  const std::size_t close = text.rfind("]=");
  const auto wrong = [&] {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(text) + "' is no TOPIC[PARTITION]=OFFSET, like orders[0]=5000");
  };
  if (open == std::string_view::npos || close == std::string_view::npos || open == 0 ||
      close < open) {
    return wrong();
  }
  const auto number = [](std::string_view digits, auto& value) {
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && stop == digits.data() + digits.size() && value >= 0;
  };
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  if (!number(text.substr(open + 1, close - open - 1), partition) ||
      !number(text.substr(close + 2), offset)) {
    return wrong();
  }
  return storage::OffsetLimit{std::string(text.substr(0, open)), PartitionIndex(partition),
                              Offset(offset)};
}

}  // namespace runnel::tools
