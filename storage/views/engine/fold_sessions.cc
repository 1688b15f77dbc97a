// Sessions: events of one group that are less than the gap apart.
#include "storage/views/engine/fold.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {

Result<ViewFold::Sessions*> ViewFold::sessions_of(const Partition& partition,
                                                  const std::string& base) {
  const auto known = sessions_.find(base);
  if (known != sessions_.end()) return &known->second;
  Sessions list;
  if (!is_complete()) {
    // What is in memory alone has its list in memory too: lists go only where nothing is dirty.
    const std::string prefix = group_prefix_ + base;
    StateExtras extras = aggregates_.make_extras();
    std::string block(aggregates_.block_bytes(), '\0');
    const StateRef state{reinterpret_cast<std::byte*>(block.data()), &extras};
    bool sound = true;
    RUNNEL_TRY(store_.scan(prefix, behind_prefix(prefix),
                           [&](std::string_view key, std::string_view value) {
                             if (key.size() != prefix.size() + 8) return true;  // a sketch's chunk
                             sound = aggregates_.decode(as_bytes(value), state);
                             const std::int64_t last = Aggregates::last_time(state);
                             // What expired since the last write is still there.
                             if (expires() && last + windows_.gap_micros() <= horizon_of(partition))
                               return sound;
                             list.push_back({load_ordered(key.data() + prefix.size()), last});
                             return sound;
                           }));
    if (!sound) return fail(ErrorCode::kCorrupt, "a view's stored session is damaged");
  }
  session_bytes_ += base.size() + sizeof(Sessions) + 64;
  return &sessions_.emplace(base, std::move(list)).first->second;
}

Status ViewFold::apply_session(Partition& partition, const FoldRow& row, const Target& target) {
  const std::string base = keys_.substr(target.key_at, target.key_bytes);
  RUNNEL_TRY_ASSIGN(Sessions* const list, sessions_of(partition, base));
  const std::int64_t time = target.span.start;
  const std::int64_t gap = windows_.gap_micros();
  const auto begin = std::partition_point(list->begin(), list->end(),
                                          [&](const Session& s) { return s.last <= time - gap; });
  const auto end = std::partition_point(begin, list->end(),
                                        [&](const Session& s) { return s.start < time + gap; });
  Session whole{time, time};
  if (begin != end) {
    whole = {std::min(time, begin->start), std::max(time, std::prev(end)->last)};
  }
  if (leaves_out(partition, whole.last + gap)) return {};
  if (begin == end && is_full(partition)) {
    ++no_room_;
    return {};
  }
  const std::vector<Session> joined(begin, end);
  const auto at = list->erase(begin, end);
  list->insert(at, whole);
  session_bytes_ += (1 - joined.size()) * sizeof(Session);
  RUNNEL_TRY_ASSIGN(Group* const group, join_sessions(partition, base, joined, whole));
  aggregates_.add(group->state(), inputs_[target.inputs],
                  {row.event_time, partition.number, row.offset});
  Aggregates::set_last_time(group->state(), whole.last);
  if (group->extras != nullptr) cache_.recharge(group);
  mark_dirty(group);
  ++applied_;
  return {};
}

Result<Group*> ViewFold::join_sessions(Partition& partition, const std::string& base,
                                       std::span<const Session> joined, Session whole) {
  const auto key_of = [&](std::int64_t start) {
    std::string key = base;
    append_ordered(start, key);
    return key;
  };
  const std::int64_t gap = windows_.gap_micros();
  Group* into = nullptr;
  if (!joined.empty() && joined.front().start == whole.start) {
    RUNNEL_TRY_ASSIGN(into, load(key_of(whole.start)));
  } else {
    into = create(partition, key_of(whole.start), whole.last + gap);
  }
  for (const Session& session : joined) {
    const std::string key = key_of(session.start);
    RUNNEL_TRY_ASSIGN(Group* const group, load(key));
    if (into == nullptr || group == nullptr) {
      return fail(ErrorCode::kCorrupt, "a view's session is missing");
    }
    const bool stays = group == into && session.last == whole.last;
    if (expires() && !stays) {
      forget_end(partition, session.last + gap, key);
      if (group == into) expect_end(partition, whole.last + gap, key);
    }
    if (group == into) continue;
    aggregates_.merge(into->state(), group->state());
    RUNNEL_TRY(erase(partition, key));
  }
  return into;
}

}  // namespace runnel::storage::views
