#include "tools/backup/moment.h"

#include "storage/check.h"
#include "storage/log/directory.h"

#include "protocol/text/time.h"

namespace runnel::tools {
namespace {

std::string describe(const storage::OffsetLimit& limit) {
  return "offset " + std::to_string(limit.offset.value()) + " of " + limit.topic + "[" +
         std::to_string(limit.partition.value()) + "]";
}

Error unreachable(const Moment& moment, const Chain& chain, const std::string& why) {
  return Error(ErrorCode::kNotFound, "the store can't be restored as it was " + moment.text() +
                                         ": " + why + "; restore a backup as it is (--id " +
                                         chain.backup.id + "), or an earlier moment");
}

/// A time that the clock showed twice is no moment.
Status check_time(const Moment& moment, const storage::CutReport& cut) {
  if (cut.set_back == 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              "the broker's clock was set back after the store was as it was " + moment.text() +
                  ": " + std::to_string(cut.set_back) +
                  " commits dated up to then follow one of later, and none of them would be there; "
                  "name a time before the clock was wrong, or the place with --to-offset");
}

/// That the end was not cut off is right only where nothing is missing before it, and where the
/// partitions end at their limits.
Status check_ends(const Moment& moment, const Chain& chain, const storage::CutReport& cut) {
  if (cut.reached) return {};
  if (chain.broken.empty() && chain.end && cut.end < *chain.end) {
    return fail(ErrorCode::kCorrupt, "the journal that backup " + chain.last + " has up to " +
                                         chain.end->to_string() + " can be read up to " +
                                         cut.end.to_string() + " alone");
  }
  if (!chain.broken.empty()) return fail(unreachable(moment, chain, chain.broken));
  for (std::size_t i = 0; i < moment.limits.size(); ++i) {
    const auto& end = cut.ends[i];
    if (end && *end >= moment.limits[i].offset) return {};
  }
  if (moment.limits.empty()) return {};
  const auto& end = cut.ends.front();
  return fail(unreachable(
      moment, chain, "in the backups it ends at offset " + std::to_string(end ? end->value() : 0)));
}

}  // namespace

std::string Moment::text() const {
  if (time) return "up to " + protocol::format_time(*time);
  std::string text;
  for (const storage::OffsetLimit& limit : limits) {
    text += text.empty() ? "before " : " and before ";
    text += describe(limit);
  }
  return text;
}

Result<MomentReport> bring_to(const std::string& directory, const Chain& chain,
                              const Moment& moment) {
  storage::FileSystem& files = storage::FileSystem::posix();
  RUNNEL_TRY_ASSIGN(const auto format, storage::read_format(files, directory));
  storage::CutOptions options;
  options.segments = storage::DirectoryPaths(directory).segments;
  options.frame_seed = format.frame_seed;
  options.from = chain.from;
  options.partitions = chain.backup.partitions;
  if (moment.time) options.time = Timestamp(*moment.time);
  options.limits = moment.limits;
  RUNNEL_TRY_ASSIGN(const auto cut, storage::cut_journal(files, options));
  RUNNEL_TRY(check_time(moment, cut));
  RUNNEL_TRY(check_ends(moment, chain, cut));
  RUNNEL_TRY_ASSIGN(const auto report, storage::check_directory(directory, files));
  if (!report.damages.empty()) {
    const storage::Damage& damage = report.damages.front();
    return fail(ErrorCode::kCorrupt,
                "the store can't be restored as it was " + moment.text() + ": " + damage.file +
                    ": " + damage.what +
                    " (what was written and moved between two backups may be in none of them); "
                    "restore a backup as it is, or another moment");
  }
  return MomentReport{cut.commits, cut.last.value(), cut.reached};
}

}  // namespace runnel::tools
