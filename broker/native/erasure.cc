// Erasure of a key's records, and its receipts.
#include "broker/native/native_session.h"

namespace runnel::broker {
namespace {

native::Erasure erasure_of(storage::Erasure from, bool with_parts) {
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
  if (with_parts) {
    for (const auto& part : from.parts) out.parts.push_back({part.index, part.end, part.records});
    for (const auto& range : from.ranges) {
      out.ranges.push_back({range.partition, range.first, range.last});
    }
  } else {  // the sum only
    out.parts.push_back({PartitionIndex(-1), Offset(-1), from.records()});
  }
  return out;
}

native::Response list(const storage::Store& store, const std::string& id) {
  native::ErasuresReply reply;
  for (storage::Erasure& erasure : store.erasures()) {
    if (!id.empty() && erasure.id != id) continue;
    reply.erasures.push_back(erasure_of(std::move(erasure), !id.empty()));
  }
  if (!id.empty() && reply.erasures.empty()) {
    return failure_of(Error(ErrorCode::kNotFound,
                            "there is no erasure " + id + "; `runnel erase --list` names all"));
  }
  return reply;
}

}  // namespace

void NativeSession::handle(std::uint64_t id, native::EraseKey& request) {
  run_blocking(id, [&store = service_.store(), request = std::move(request)] {
    auto begun = store.erase_key(request.id, request.topic, request.key);
    if (!begun) return native::Response(failure_of(begun.error()));
    native::ErasuresReply reply;
    reply.erasures.push_back(erasure_of(*std::move(begun), true));
    return native::Response(std::move(reply));
  });
}

void NativeSession::handle(std::uint64_t id, native::ListErasures& request) {
  run_blocking(id, [&store = service_.store(), erasure = std::move(request.id)] {
    return list(store, erasure);
  });
}

}  // namespace runnel::broker
