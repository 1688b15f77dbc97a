#include "storage/ledger/producers.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace runnel::storage {
namespace {

/// Sequences run from 0 to 2^31-1 and start again at 0.
std::int32_t sequence_after(std::int32_t sequence, std::int32_t step) {
  constexpr std::int64_t kModulus = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
  return static_cast<std::int32_t>((std::int64_t{sequence} + step) % kModulus);
}

std::int32_t last_sequence(const protocol::BatchView& batch) {
  return sequence_after(batch.base_sequence(), batch.record_count() - 1);
}

tl::unexpected<Error> out_of_order(const protocol::BatchView& batch, std::int32_t expected) {
  return fail(ErrorCode::kOutOfOrderSequence,
              "producer " + std::to_string(batch.producer_id().value()) + " sent sequence " +
                  std::to_string(batch.base_sequence()) + " where " + std::to_string(expected) +
                  " was expected; a batch before it is missing, so start a new producer");
}

}  // namespace

Result<Producers::Verdict> Producers::check(const protocol::BatchView& batch,
                                            const ProducerState* previous) const {
  const ProducerState* known = previous != nullptr ? previous : find(batch.producer_id());
  if (known == nullptr || known->count == 0) return Verdict{};
  if (batch.producer_epoch() < known->epoch) {
    return fail(ErrorCode::kInvalidProducerEpoch,
                "producer " + std::to_string(batch.producer_id().value()) + " used epoch " +
                    std::to_string(batch.producer_epoch().value()) + ", but epoch " +
                    std::to_string(known->epoch.value()) +
                    " is in use; a newer instance took over");
  }
  if (batch.producer_epoch() > known->epoch) {
    if (batch.base_sequence() != 0) return out_of_order(batch, 0);
    return Verdict{};
  }
  for (std::size_t i = 0; i < known->count; ++i) {
    const auto& b = known->batches[i];
    if (b.first_sequence == batch.base_sequence() && b.last_sequence == last_sequence(batch)) {
      return Verdict{true, b.base, b.last};
    }
  }
  const std::int32_t expected = sequence_after(known->batches[known->count - 1].last_sequence, 1);
  if (batch.base_sequence() != expected) return out_of_order(batch, expected);
  return Verdict{};
}

void Producers::advance(ProducerState& state, const protocol::BatchView& batch, Offset base,
                        Timestamp now) {
  if (batch.producer_epoch() != state.epoch) state.count = 0;
  state.epoch = batch.producer_epoch();
  state.last_seen = now;
  if (state.count == ProducerState::kRemembered) {
    std::move(state.batches.begin() + 1, state.batches.end(), state.batches.begin());
    --state.count;
  }
  state.batches[state.count++] = {batch.base_sequence(), last_sequence(batch), base,
                                  base + batch.last_offset_delta()};
}

void Producers::record(const protocol::BatchView& batch, Timestamp now) {
  Entry& e = entries_[batch.producer_id()];
  advance(e.state, batch, batch.base_offset(), now);
  e.dirty = true;
}

const ProducerState* Producers::find(ProducerId id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second.state;
}

void Producers::expire(Timestamp before, std::vector<ProducerId>& forgotten) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second.state.last_seen < before) {
      forgotten.push_back(it->first);
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace runnel::storage
