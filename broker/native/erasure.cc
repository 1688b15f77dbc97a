// Erasure of a key's records, and its receipts.
#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

native::Erasure erasure_of(storage::Erasure from) {
  native::Erasure out;
  out.id = std::move(from.id);
  out.topic = std::move(from.topic);
  out.requested = from.requested;
  out.removed = from.removed;
  out.gone = from.gone;
  out.ranges_cut = from.ranges_cut;
  out.dedup_keys = from.dedup_keys;
  out.segments_left = from.segments_left;
  out.problem = std::move(from.problem);
  for (const auto& part : from.parts) out.parts.push_back({part.index, part.end, part.records});
  for (const auto& range : from.ranges) {
    out.ranges.push_back({range.partition, range.first, range.last});
  }
  return out;
}

native::Response answer_of(Result<storage::Erasure> erasure) {
  if (!erasure) return failure_of(erasure.error());
  native::ErasuresReply reply;
  reply.erasures.push_back(erasure_of(*std::move(erasure)));
  return reply;
}

native::Response list(const storage::Store& store) {
  native::ErasuresReply reply;
  for (storage::Erasure& erasure : store.erasures()) {
    reply.erasures.push_back(erasure_of(std::move(erasure)));
  }
  return reply;
}

}  // namespace

void NativeSession::handle(std::uint64_t id, native::EraseKey& request) {
  run_blocking(id, [&store = service_.store(), request = std::move(request)] {
    return answer_of(store.erase_key(request.id, request.topic, request.key));
  });
}

void NativeSession::handle(std::uint64_t id, native::ListErasures& request) {
  run_blocking(id, [&store = service_.store(), erasure = std::move(request.id)] {
    return erasure.empty() ? list(store) : answer_of(store.erasure(erasure));
  });
}

}  // namespace runnel::broker
