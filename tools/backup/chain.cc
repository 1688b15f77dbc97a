#include "tools/backup/chain.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "protocol/text/time.h"
#include "storage/segments/frame.h"
#include "storage/segments/segment_files.h"

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
    last_backup_ = &base;
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
    last_backup_ = &later;
    return true;
  }

  Chain finish() {
    Chain chain{base_, from_, broken_, end(), last_backup_->id, last_backup_->taken};
    chain.backup.files.clear();
    for (auto& [name, file] : files_) chain.backup.files.push_back(std::move(file));
    return chain;
  }

 private:
  bool stop(std::string why) {
    broken_ = std::move(why);
    return false;
  }

  /// A segment that was full has all of its bytes, what lies behind its last commit too.
  [[nodiscard]] std::optional<storage::Position> end() const {
    const auto file = files_.find(std::string(kSegments) + storage::segment_file_name(last_));
    if (file == files_.end()) return std::nullopt;
    const std::uint64_t bytes = file->second.bytes();
    if (bytes == file->second.size || bytes <= storage::kSegmentHeaderBytes) return std::nullopt;
    return storage::Position{last_, static_cast<std::uint32_t>(bytes)};
  }

  const Backup& base_;
  const Backup* last_backup_ = nullptr;
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

/// "before backup A and after backup B": in the order in which they come.
std::string list_places(const std::vector<Backup>& backups, const std::vector<std::size_t>& places,
                        bool before_first) {
  std::string text = before_first ? "before backup " + backups.front().id : "";
  for (const std::size_t i : places) {
    text += text.empty() ? "after backup " : " and after backup ";
    text += backups[i].id;
  }
  return text;
}

Error ambiguous(const std::string& what, const std::string& places, const Backup& newest) {
  return Error(ErrorCode::kInvalidArgument,
               what + " more than once: " + places +
                   "; say with --id which of them to go on from, e.g. --id " + newest.id);
}

/// Which backup the moment before `limit` is behind.
Result<std::size_t> base_for(const std::vector<Backup>& backups, const storage::OffsetLimit& limit,
                             Passage passage) {
  std::optional<std::size_t> last_known;
  std::vector<std::size_t> passed;  // between each of them and the one after it
  for (std::size_t i = 0; i < backups.size(); ++i) {
    if (knows(backups[i], limit)) last_known = i;
    if (i == 0 || !is_beyond(backups[i], limit) || is_beyond(backups[i - 1], limit)) continue;
    passed.push_back(i - 1);
  }
  const std::string offset = std::to_string(limit.offset.value());
  const bool before_first = !backups.empty() && is_beyond(backups.front(), limit);
  if (passage == Passage::kOnly && passed.size() + (before_first ? 1 : 0) > 1) {
    return fail(ambiguous(describe(limit) + " came to offset " + offset,
                          list_places(backups, passed, before_first), backups[passed.back()]));
  }
  if (!passed.empty()) return passed.front();
  if (before_first) {
    return fail(ErrorCode::kNotFound, "the first backup, " + backups.front().id + ", holds " +
                                          describe(limit) + " beyond offset " + offset +
                                          " already");
  }
  if (last_known) return *last_known;
  return fail(ErrorCode::kNotFound, "no backup knows " + describe(limit));
}

}  // namespace

Result<Chain> chain_to_time(const std::vector<Backup>& backups, std::int64_t time,
                            Passage passage) {
  if (backups.empty()) return fail(ErrorCode::kNotFound, "there is no backup");
  std::vector<std::size_t> passed;  // between each of them and the one after it
  for (std::size_t i = 0; i < backups.size(); ++i) {
    const bool later = i + 1 == backups.size() || backups[i + 1].taken > time;
    if (backups[i].taken <= time && later) passed.push_back(i);
  }
  if (passed.empty()) {
    return fail(ErrorCode::kNotFound, "the first backup is of " +
                                          protocol::format_time(backups.front().taken) +
                                          "; nothing before it can be restored");
  }
  if (passage == Passage::kOnly && passed.size() > 1) {
    return fail(
        ambiguous("the broker's clock, which was set back, showed " + protocol::format_time(time),
                  list_places(backups, passed, false), backups[passed.back()]));
  }
  const std::size_t base = passed.front();
  if (base + 1 == backups.size()) {
    return fail(ErrorCode::kNotFound,
                "the last backup, " + backups[base].id + ", is of " +
                    protocol::format_time(backups[base].taken) +
                    ", and what was committed from then on is in none; restore it as it is (--id " +
                    backups[base].id + "), or an earlier moment");
  }
  Joining joining(backups[base]);
  (void)joining.add(backups[base + 1]);
  return joining.finish();
}

Result<Chain> chain_to_limits(const std::vector<Backup>& backups,
                              const std::vector<storage::OffsetLimit>& limits, Passage passage) {
  std::size_t base = backups.size();
  for (const auto& limit : limits) {
    RUNNEL_TRY_ASSIGN(const std::size_t mine, base_for(backups, limit, passage));
    base = std::min(base, mine);
  }
  if (base == backups.size()) return fail(ErrorCode::kNotFound, "there is no backup");
  Joining joining(backups[base]);
  bool is_passed = false;
  for (std::size_t i = base + 1; i < backups.size() && !is_passed; ++i) {
    if (!joining.add(backups[i])) break;
    is_passed = std::any_of(limits.begin(), limits.end(),
                            [&](const auto& limit) { return is_beyond(backups[i], limit); });
  }
  Chain chain = joining.finish();
  chain.is_passed = is_passed;
  return chain;
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
