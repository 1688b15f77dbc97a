#include "broker/schemas/registry.h"

#include <algorithm>
#include <charconv>

#include "broker/schemas/limits.h"
#include "protocol/record_batch/abort_filter.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::broker::schemas {
namespace {

/// The greatest id that was ever given: compaction may take the record away that had it, and an id
/// in somebody's records must never mean another schema.
constexpr std::string_view kLastIdKey = "schemas/last_id";
constexpr std::uint32_t kReadBytes = 1u << 20;
constexpr int kTries = 20;
/// Others' records, on their way to the disk, are waited for so long at a time.
constexpr std::chrono::milliseconds kWait{250};

tl::unexpected<Refusal> failed(const Error& error) {
  return refuse(Refusal::kStoreFailed, "The registry's log failed: " + error.to_string());
}

Result<SchemaId> last_id_of(const storage::Store& store) {
  RUNNEL_TRY_ASSIGN(const auto entries, store.read_state(kLastIdKey));
  std::int32_t id = 0;
  for (const auto& [key, value] : entries) {
    if (key != kLastIdKey) continue;
    const char* const end = value.data() + value.size();
    if (const auto [at, bad] = std::from_chars(value.data(), end, id);
        at != end || bad != std::errc()) {
      return fail(ErrorCode::kCorrupt, "the entry schemas/last_id of the state map is no number");
    }
  }
  return SchemaId(id);
}

}  // namespace

Reply<void> Registry::read(const std::function<Reply<void>(const RegistryState&)>& look) {
  MutexLock lock(mutex_);
  if (const Status current = catch_up(); !current) return failed(current.error());
  return look(state_);
}

Reply<void> Registry::write(const std::function<Reply<Change>(const RegistryState&)>& decide) {
  MutexLock writing(writing_);
  for (int tries = 0; tries < kTries; ++tries) {
    Change change;
    Offset next;
    bool is_new = false;
    {
      MutexLock lock(mutex_);
      if (const Status current = catch_up(); !current) return failed(current.error());
      RUNNEL_ANSWER_ASSIGN(change, decide(state_));
      if (change.empty()) return {};
      if (const Status room = state_.has_room(change); !room) return failed(room.error());
      next = next_;
      is_new = !log_;
    }
    if (is_new) {
      if (const Status made = create_log(); !made) return failed(made.error());
      continue;
    }
    const auto done = commit(change, next);
    if (!done) return failed(done.error());
    if (*done) return read([](const RegistryState&) { return Reply<void>(); });
  }
  return refuse(Refusal::kStoreFailed,
                "Others write to the registry's log all the time, or have left a transaction open "
                "there; try again");
}

Reply<WritingSchema> Registry::writing_schema(const std::string& subject, SchemaId id) {
  MutexLock lock(mutex_);
  if (const Status current = catch_up(); !current) return failed(current.error());
  const RegistryState::Versions* versions = state_.subject(subject);
  if (versions == nullptr) {
    return refuse(Refusal::kSubjectNotFound,
                  "the subject '" + subject + "' has no schemas; register the schema there");
  }
  const Schema* schema = state_.schema(id);
  if (schema == nullptr) {
    return refuse(
        Refusal::kSchemaNotFound,
        "there is none of this id in the registry; register the schema under '" + subject + "'");
  }
  const bool has = std::any_of(versions->begin(), versions->end(), [&](const auto& version) {
    return version.second.id == id && !version.second.deleted;
  });
  if (!has) {
    return refuse(Refusal::kVersionNotFound, "no version of the subject '" + subject +
                                                 "' has it (any more); register it there");
  }
  WritingSchema out{schema->type, nullptr};
  if (schema->type == SchemaType::kJson) {
    RUNNEL_ANSWER_ASSIGN(out.json, parsed(id, *schema));
  }
  return out;
}

Reply<std::shared_ptr<const JsonSchema>> Registry::parsed(SchemaId id, const Schema& schema) {
  const auto known = parsed_.find(id);
  if (known != parsed_.end() && known->second.text == schema.text) return known->second.schema;
  RUNNEL_ANSWER_ASSIGN(const ResolvedSchema resolved, resolve(state_, schema));
  std::vector<NamedText> texts = resolved.uses;
  texts.push_back({"", resolved.text});
  std::size_t bytes = 0;
  for (const NamedText& each : texts) bytes += each.text.size();
  auto made = JsonSchema::parse(texts);
  if (!made) {
    return refuse(Refusal::kInvalidSchema, "that can't be read: " + made.error().message());
  }
  if (parsed_bytes_ + bytes > kMaxParsedBytes || known != parsed_.end()) {
    parsed_.clear();
    parsed_bytes_ = 0;
  }
  parsed_bytes_ += bytes;
  return parsed_.insert_or_assign(id, Parsed{schema.text, std::move(*made)}).first->second.schema;
}

Status Registry::create_log() {
  const auto made = store_.create_topic({std::string(kTopic), 1, {{"cleanup.policy", "compact"}}});
  if (!made && made.error().code() != ErrorCode::kTopicExists) return fail(made.error());
  return {};
}

/// False: others have written, or are about to, and it has to be decided again.
Result<bool> Registry::commit(const Change& change, Offset next) {
  RUNNEL_TRY_ASSIGN(auto log, store_.partition(kTopic, PartitionIndex(0)));
  RUNNEL_TRY_ASSIGN(SchemaId last_id, last_id_of(store_));
  protocol::BatchBuilder builder;
  const Timestamp now = clock_.now();
  for (const LogRecord& each : change) {
    const KeyAndValue record = encode(each);
    builder.add({now, record.key, record.value, {}});
    const auto* version = std::get_if<SchemaRecord>(&each);
    if (version && version->value) last_id = std::max(last_id, version->value->id);
  }
  storage::CommitRequest request;
  RUNNEL_TRY_ASSIGN(Buffer batch, builder.finish());
  request.appends.push_back({log, std::move(batch), {}, next});
  request.state.push_back({std::string(kLastIdKey), std::to_string(last_id.value())});
  const auto outcome = store_.commit_and_wait(std::move(request));
  if (outcome.result) return true;
  if (outcome.result.error().code() != ErrorCode::kPreconditionFailed) {
    return fail(outcome.result.error());
  }
  storage::FetchRequest news{{{log, next, kReadBytes}}};
  news.max_wait = kWait;
  news.committed_only = true;
  static_cast<void>(store_.fetch_and_wait(std::move(news)));
  return false;
}

/// One that was deleted and made anew is another one, and so is what is known.
Result<storage::PartitionRef> Registry::open_log() {
  auto found = store_.partition(kTopic, PartitionIndex(0));
  if (!found && found.error().code() != ErrorCode::kUnknownTopic) return fail(found.error());
  const storage::PartitionRef log = found ? *found : nullptr;
  const auto id = log ? std::optional(store_.partition_id(log)) : std::nullopt;
  if (is_open_ && id == log_) return log;
  RUNNEL_TRY_ASSIGN(const SchemaId last_id, last_id_of(store_));
  state_ = RegistryState();
  state_.take_ids_up_to(last_id);
  next_ = Offset(0);
  log_ = id;
  is_open_ = true;
  return log;
}

Status Registry::catch_up() {
  RUNNEL_TRY_ASSIGN(const storage::PartitionRef log, open_log());
  if (!log) return {};
  for (;;) {
    const auto info = store_.partition_info(log);
    next_ = std::max(next_, info.log_start);
    if (next_ >= info.last_stable) return {};
    storage::FetchRequest request{{{log, next_, kReadBytes}}};
    request.committed_only = true;
    const auto fetched = store_.fetch_and_wait(std::move(request));
    const auto& head = fetched.front().head;
    if (head.error) return fail(*head.error);
    if (head.next <= next_) return {};
    RUNNEL_TRY(apply_batches(fetched.front().batches.bytes(), head.aborted));
    next_ = head.next;
  }
}

Status Registry::apply_batches(Bytes batches, std::vector<storage::AbortedTransaction> aborted) {
  std::vector<protocol::AbortedFrom> from;
  for (const auto& each : aborted) from.push_back({each.producer, each.first});
  protocol::AbortFilter filter(std::move(from));
  while (!batches.empty()) {
    RUNNEL_TRY_ASSIGN(
        const std::size_t size,
        protocol::validate_batch(batches, protocol::Depth::kCrc, protocol::Gaps::kAllowed));
    RUNNEL_TRY_ASSIGN(const bool left_out, filter.leaves_out(batches.first(size)));
    if (!left_out) RUNNEL_TRY(apply_batch(batches.first(size)));
    batches = batches.subspan(size);
  }
  return {};
}

Status Registry::apply_batch(Bytes batch) {
  RUNNEL_TRY_ASSIGN(auto reader, protocol::RecordReader::open(batch));
  for (;;) {
    RUNNEL_TRY_ASSIGN(const protocol::Record* const record, reader.next_in_place());
    if (record == nullptr) return {};
    if (record->offset < next_) continue;
    const auto decoded = decode(record->key.value_or(""), record->value);
    if (decoded) {
      RUNNEL_TRY(state_.apply(*decoded));
      continue;
    }
    unreadable_.fetch_add(1, std::memory_order_relaxed);
    if (!warn_) continue;
    warn_("the record at offset " + std::to_string(record->offset.value()) +
          " of _schemas says nothing to the schema registry: " + decoded.error().message());
  }
}

}  // namespace runnel::broker::schemas
