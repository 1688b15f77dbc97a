// Segments that were kept for long are sorted by partition while little is written, so that who
// reads a partition's past reads the disk in one direction.
#include <algorithm>
#include <unordered_map>

#include "storage/log/cleaner.h"

namespace runnel::storage {
namespace {

/// What has lived for so long is likely to stay, by the usual retention of a week for six times as
/// long again; and those who follow the log closely have read it.
constexpr std::chrono::hours kSortAfter{24};
/// Less than this since the round before: little is written.
constexpr std::uint64_t kLittle = 1u << 20;

}  // namespace

bool Cleaner::little_was_written() const {
  return committer_.appended_bytes() - appended_at_round_ < kLittle;
}

Result<std::vector<std::uint32_t>> Cleaner::find_unsorted() {
  const Timestamp now = options_.now();
  const std::uint32_t current = journal_.current_segment();
  std::unordered_map<std::uint32_t, std::size_t> partitions;
  for (const SegmentInfo& segment : journal_.segments()) {
    const auto closed = journal_.closed_at(segment.number);
    const bool is_old = segment.number < current && closed &&
                        now - *closed >= std::chrono::milliseconds(kSortAfter).count();
    if (is_old && !sorted_.contains(segment.number)) partitions[segment.number] = 0;
  }
  std::vector<std::uint32_t> mixed;
  if (partitions.empty()) return mixed;
  RUNNEL_TRY(
      index_.scan_prefix(Family::kIndex, keys::kSpans, [&](std::string_view key, std::string_view) {
        const auto parsed = keys::parse_span(key);
        const auto at = parsed ? partitions.find(parsed->segment) : partitions.end();
        if (at != partitions.end() && topics_.partition(parsed->partition)) ++at->second;
        return true;
      }));
  for (const auto& [number, count] : partitions) {
    if (count > 1) {
      mixed.push_back(number);
    } else {
      sorted_.insert(number);  // what is one partition's is in order
    }
  }
  std::sort(mixed.begin(), mixed.end());
  return mixed;
}

Status Cleaner::sort_segments(bool paced) {
  if (paced && !little_was_written()) return {};
  RUNNEL_TRY_ASSIGN(const std::vector<std::uint32_t> mixed, find_unsorted());
  for (const std::uint32_t number : mixed) {
    RUNNEL_TRY(check_room());
    sorted_.insert(number);
    const std::vector<Victim> victim{{number, 0, 0}};
    RUNNEL_TRY_ASSIGN(const std::vector<Piece> pieces, pieces_of(victim));
    RUNNEL_TRY(past_damage(move_pieces(pieces, paced), victim));
    // The files that are empty now go before the next round comes.
    if (paced) break;
  }
  return {};
}

}  // namespace runnel::storage
