// A feed of every change: of each write of the view's state its own piece, with the rows as they
// were behind it.
#include <algorithm>

#include "storage/views/feed/view_feed.h"

namespace runnel::storage::views {

void ViewFeed::follow(const ReadSnapshot& snapshot, const Definition& view) {
  follower_ = std::make_unique<RowFollower>(snapshot.histories->of(view.id));
  begin_anew(view, 0);
  parts_.clear();
  group_ = 0;
}

Result<bool> ViewFeed::settle_history(const ReadSnapshot& snapshot, const Definition& view,
                                      const ViewReader& reader) {
  const bool known = follower_ != nullptr && id_ == view.id;
  if (!known) {
    const bool first = follower_ == nullptr;
    follow(snapshot, view);
    begun_ = true;
    const bool resumes = first && options_.after;
    if (resumes && options_.after->generation == view.id.generation &&
        options_.after->sequence <= reader.sequence()) {
      in_snapshot_ = false;
      sequence_ = options_.after->sequence;
      // Where it was in step with the state, what comes behind is kept from now on.
      if (sequence_ == reader.sequence() || follower_->behind(sequence_).step) return true;
    }
    reset_ = resumes || !first;
    first_ = true;
    in_snapshot_ = options_.snapshot || reset_;
    fresh_ = true;
    // What was written between this snapshot and the following is not kept: the next one is newer.
    return false;
  }
  if (std::exchange(fresh_, false)) sequence_ = reader.sequence();
  if (!is_mixed()) overtaken_ = 0;
  if (!follower_->behind(sequence_).lost) return true;
  if (is_mixed() && ++overtaken_ == kMaxOvertaken) {
    // No error that is tried again: it would end the same way.
    return fail(
        ErrorCode::kUnsupported,
        "view '" + options_.view +
            "' changes faster than all its rows are read: " + std::to_string(kMaxOvertaken) +
            " snapshots in a row were overtaken by more changes than are kept; read faster, "
            "subscribe to the newest rows instead of every change, or give views more "
            "memory (view-memory)");
  }
  begin_anew(view, reader.sequence());
  parts_.clear();
  group_ = 0;
  reset_ = first_ = true;
  return true;
}

bool ViewFeed::was_told(std::string_view key, std::uint64_t sequence) const {
  const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const SnapshotPart& one) {
    return one.is_last || key <= one.upto;
  });
  return part != parts_.end() && sequence <= part->sequence;
}

Status ViewFeed::tell_step_group(std::string_view key, std::span<const Value> rows, RowError error,
                                 const Take& take, bool& going_on) {
  if (error != RowError::kNone) {
    return fail(ErrorCode::kInvalidArgument,
                "a row can't be computed: " + std::string(meaning_of(error)));
  }
  const std::size_t width = definition_->view->outputs.size();
  bool told = false;
  for (; !rows.empty(); rows = rows.subspan(width)) {
    RUNNEL_TRY_ASSIGN(const bool through, passes(rows.first(width)));
    if (!through) continue;
    const FeedChange change = std::exchange(told, true) ? FeedChange::kAdd : FeedChange::kReplace;
    going_on = take({change, key, rows.first(width)}) && going_on;
  }
  return told ? Status() : tell_gone(key, take, going_on);
}

Status ViewFeed::read_step(const ViewReader& reader, const Take& take, FeedPiece& piece) {
  piece.kind = FeedKind::kDelta;
  piece.empty = true;
  const RowStepRef step = follower_->behind(sequence_).step;
  if (step == nullptr) {
    // Somebody may have written, and the step is on its way: positions wait for it.
    if (sequence_ == reader.sequence()) piece.positions = positions_of(*definition_->view, reader);
    return {};
  }
  Status status;
  bool going_on = true;
  std::size_t at = group_;
  const auto count = [&](const FeedRow& row) {
    piece.empty = false;
    return take(row);
  };
  step->visit(group_, [&](std::string_view key, std::span<const Value> rows, RowError error) {
    if (!going_on) return false;
    if (!was_told(key, step->sequence())) {
      status = tell_step_group(key, rows, error, count, going_on);
    }
    ++at;
    return status.has_value();
  });
  RUNNEL_TRY(status);
  if (at < step->groups()) {
    group_ = at;
    piece.more = true;
    return {};
  }
  group_ = 0;
  sequence_ = step->sequence();
  if (!parts_.empty() && sequence_ >= parts_.back().sequence) parts_.clear();
  const RowHistory::Next next = follower_->behind(sequence_);
  piece.more = next.step != nullptr || next.lost;
  if (piece.more) return {};
  for (const auto& [partition, offset] : step->positions()) {
    piece.positions.push_back({definition_->view->source.topic,
                               PartitionIndex(static_cast<std::int32_t>(partition)),
                               Offset(offset)});
  }
  return {};
}

}  // namespace runnel::storage::views
