// Requests and receipts, and whose turn it is.
#include "storage/log/eraser.h"

#include <algorithm>
#include <limits>

namespace runnel::storage {
namespace {

/// What failed, or found something that can't be read, is tried again after this.
constexpr std::chrono::seconds kTryAgain{60};

Status check_same(const ErasureRecord& known, std::string_view topic, std::string_view key) {
  const Erasure& shown = known.shown;
  const bool same_key = shown.gone != kNoTimestamp || hash_key(key, known.key.seed) == known.key;
  if (shown.topic == topic && same_key) return {};
  return fail(ErrorCode::kInvalidArgument,
              "erasure " + shown.id + " is one of " +
                  (shown.topic == topic ? "another key" : "topic " + shown.topic) +
                  "; choose another id");
}

}  // namespace

Status Eraser::load() {
  std::map<std::string, RecordRef, std::less<>> found;
  std::size_t pending = 0;
  Status status;
  const auto take = [&](std::string_view key, std::string_view value) {
    key.remove_prefix(keys::kErasures.size());
    auto record = decode_erasure(key, value);
    if (!record) {
      status = fail(record.error());
      return false;
    }
    if (record->shown.gone == kNoTimestamp) ++pending;
    found.emplace(key, std::make_shared<const ErasureRecord>(to_remember(*std::move(record))));
    return true;
  };
  RUNNEL_TRY(environment_.index.scan_prefix(Family::kMeta, keys::kErasures, take));
  RUNNEL_TRY(status);
  MutexLock lock(mutex_);
  known_ = std::move(found);
  pending_ = pending;
  return {};
}

void Eraser::forget_some(Mutations& to, std::vector<std::string>& forgotten) const {
  if (known_.size() < kMaxErasures) return;
  const Erasure* oldest = nullptr;
  for (const auto& [id, record] : known_) {
    const Erasure& shown = record->shown;
    if (shown.gone == kNoTimestamp) continue;
    if (!oldest || shown.gone < oldest->gone) oldest = &shown;
  }
  if (!oldest) return;
  to.erase(Family::kMeta, keys::erasure(oldest->id));
  forgotten.push_back(oldest->id);
}

Result<Erasure> Eraser::request(std::string_view id, std::string_view topic, std::string_view key) {
  if (id.empty() || id.size() > kMaxErasureIdBytes) {
    return fail(ErrorCode::kInvalidArgument, "an erasure's id has between 1 and " +
                                                 std::to_string(kMaxErasureIdBytes) + " bytes");
  }
  RecordRef known;
  ErasureRecord record;
  std::vector<std::string> forgotten;
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> {
    MutexLock lock(mutex_);
    if (const auto it = known_.find(id); it != known_.end()) {
      known = it->second;
      return Mutations();
    }
    if (pending_ >= kMaxPendingErasures) {
      return fail(ErrorCode::kOverloaded, std::to_string(kMaxPendingErasures) +
                                              " erasures are not finished yet; try again later");
    }
    RUNNEL_TRY_ASSIGN(const TopicRef found, environment_.topics.find(topic));
    record.shown.id = id;
    record.shown.topic = topic;
    record.shown.requested = environment_.clock.now();
    record.topic_id = found->record.id;
    record.key = hash_key(key, environment_.random.next());
    for (const PartitionRef& partition : found->partitions) {
      record.shown.parts.push_back({partition->index(), partition->writer().state.next});
      record.rewritten.push_back(Offset(0));
    }
    record.journal_end = environment_.journal.current_segment();
    environment_.journal.leave_segment();
    Mutations m;
    forget_some(m, forgotten);
    m.put(Family::kMeta, keys::erasure(id), encode(record));
    return m;
  };
  work.applied = [&] {
    if (known) return;
    MutexLock lock(mutex_);
    for (const std::string& old : forgotten) known_.erase(old);
    known_.emplace(record.shown.id, std::make_shared<const ErasureRecord>(record));
    ++pending_;
    due_ = 0;
  };
  RUNNEL_TRY(environment_.committer.run(std::move(work)));
  if (!known) return record.shown;
  RUNNEL_TRY(check_same(*known, topic, key));
  return find(id);
}

Result<Erasure> Eraser::find(std::string_view id) const {
  const auto missing = [&] {
    return fail(ErrorCode::kNotFound,
                "there is no erasure " + std::string(id) + "; `runnel erase --list` names all");
  };
  RecordRef known;
  {
    MutexLock lock(mutex_);
    if (const auto it = known_.find(id); it != known_.end()) known = it->second;
  }
  if (!known) return missing();
  if (known->shown.gone == kNoTimestamp) return known->shown;
  RUNNEL_TRY_ASSIGN(const auto value, environment_.index.get(Family::kMeta, keys::erasure(id)));
  if (!value) return missing();  // forgotten meanwhile
  RUNNEL_TRY_ASSIGN(ErasureRecord whole, decode_erasure(id, *value));
  return std::move(whole.shown);
}

std::vector<Erasure> Eraser::list() const {
  std::vector<RecordRef> records;
  {
    MutexLock lock(mutex_);
    records.reserve(known_.size());
    for (const auto& [id, record] : known_) records.push_back(record);
  }
  std::vector<Erasure> all;
  all.reserve(records.size());
  for (const RecordRef& record : records) all.push_back(in_short(record->shown));
  std::stable_sort(all.begin(), all.end(),
                   [](const Erasure& a, const Erasure& b) { return a.requested < b.requested; });
  return all;
}

void Eraser::show(const ErasureRecord& record) {
  RecordRef shown = std::make_shared<const ErasureRecord>(to_remember(record));
  MutexLock lock(mutex_);
  RecordRef& known = known_.at(record.shown.id);
  if (known->shown.gone == kNoTimestamp && shown->shown.gone != kNoTimestamp) --pending_;
  known.swap(shown);
}

Status Eraser::save(const ErasureRecord& record, Mutations with) {
  with.put(Family::kMeta, keys::erasure(record.shown.id), encode(record));
  Committer::Exclusive work;
  work.build = [&](const JournalPoint&) -> Result<Mutations> { return std::move(with); };
  work.applied = [&] { show(record); };
  return environment_.committer.run(std::move(work));
}

void Eraser::note_due() {
  MutexLock lock(mutex_);
  std::int64_t due = std::numeric_limits<std::int64_t>::max();
  for (const auto& [id, record] : known_) {
    if (record->shown.gone != kNoTimestamp) continue;
    const auto progress = progress_.find(id);
    due = std::min<std::int64_t>(
        due, progress == progress_.end() ? 0 : progress->second.again_at.count());
  }
  due_ = due;
}

Status Eraser::work(const Help& help) {
  std::vector<RecordRef> pending;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, record] : known_) {
      if (record->shown.gone == kNoTimestamp) pending.push_back(record);
    }
  }
  std::stable_sort(pending.begin(), pending.end(), [](const RecordRef& a, const RecordRef& b) {
    return a->shown.requested < b->shown.requested;
  });
  const std::chrono::nanoseconds now = environment_.clock.monotonic();
  spent_ = 0;
  Status first;
  for (const RecordRef& known : pending) {
    if (is_over()) break;
    Progress& progress = progress_[known->shown.id];
    if (now < progress.again_at) continue;
    ErasureRecord record = *known;
    Status status;
    if (record.shown.removed == kNoTimestamp) status = remove(record, progress, help);
    const bool go_on = status && record.shown.removed != kNoTimestamp && !is_over();
    if (go_on) status = clear_files(record, progress, help);
    record.shown.problem = status ? progress.why : status.error().message();
    show(record);
    progress.again_at = status ? std::chrono::nanoseconds(0) : now + kTryAgain;
    if (record.shown.gone != kNoTimestamp) progress_.erase(record.shown.id);
    if (!status && status.error().code() == ErrorCode::kShuttingDown) return status;
    if (!status && first) first = fail(status.error().within("erasure " + known->shown.id));
  }
  has_more_ = is_over();
  note_due();
  return first;
}

}  // namespace runnel::storage
