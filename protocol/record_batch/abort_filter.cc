#include "protocol/record_batch/abort_filter.h"

#include "protocol/record_batch/control_record.h"

namespace runnel::protocol {

Result<bool> AbortFilter::leaves_out(Bytes batch) {
  const BatchView view(batch);
  for (; passed_ < aborted_.size() && aborted_[passed_].first <= view.last_offset(); ++passed_) {
    open_.insert(aborted_[passed_].producer);
  }
  if (!view.is_control()) return view.is_transactional() && open_.contains(view.producer_id());
  if (open_.empty()) return true;
  const auto marker = read_end_txn_batch(batch);
  if (marker && marker->type == ControlType::kAbort) {
    open_.erase(view.producer_id());
  } else if (!marker && marker.error().code() != ErrorCode::kUnsupported) {
    return fail(marker.error());
  }
  return true;
}

}  // namespace runnel::protocol
