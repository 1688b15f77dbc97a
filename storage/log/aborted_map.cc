#include "storage/log/aborted_map.h"

#include <algorithm>

#include "protocol/base/assert.h"

namespace runnel::storage {

void AbortedMap::add(const AbortedRecord& aborted) {
  RUNNEL_ASSERT(aborted.marker > last());
  if (blocks_.empty() || blocks_.back().entries == kBlock) {
    blocks_.push_back({aborted.marker, aborted.marker, aborted.first, aborted.stable, 0});
  }
  Block& block = blocks_.back();
  block.last = aborted.marker;
  block.begin = std::min(block.begin, aborted.first);
  block.stable = aborted.stable;
  ++block.entries;
}

std::vector<AbortedMap::Range> AbortedMap::find(Offset from, Offset next) const {
  std::vector<Range> ranges;
  bool adjoins = false;
  for (auto block = std::lower_bound(blocks_.begin(), blocks_.end(), from,
                                     [](const Block& b, Offset o) { return b.last < o; });
       block != blocks_.end(); ++block) {
    const bool touches = block->begin < next;
    if (touches && adjoins) {
      ranges.back().last = block->last;
    } else if (touches) {
      ranges.push_back({std::max(from, block->first), block->last});
    }
    adjoins = touches;
    // What ends later began at the stable offset or behind it.
    if (block->stable >= next) break;
  }
  return ranges;
}

void AbortedMap::forget_before(Offset start) {
  const auto kept = std::find_if(blocks_.begin(), blocks_.end(),
                                 [start](const Block& b) { return b.last >= start; });
  blocks_.erase(blocks_.begin(), kept);
}

}  // namespace runnel::storage
