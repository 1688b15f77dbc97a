#include "broker/http/webhook_runner.h"

#include "broker/http/record_scan.h"
#include "broker/http/record_text.h"

namespace runnel::broker::http {
namespace {

/// Bytes of batches that are read at a time, and time that is spent on one partition.
constexpr std::uint32_t kReadBytes = 256u << 10;
constexpr std::chrono::milliseconds kReadTime{20};
/// Memory of what waits is taken and given back in such steps; bytes. A webhook that has nothing to
/// do has none.
constexpr std::uint64_t kMemoryStep = 128u << 10;
/// All that waits, and one record more: those are the bounds, and the broker's for what stays.
constexpr std::uint64_t kMostStanding = std::uint64_t{1} << 32;
/// Something is wrong that no request can change: a topic that is gone, no space for dead letters.
constexpr std::chrono::seconds kTryAgain{5};
/// Partitions may be added to a topic.
constexpr std::chrono::seconds kLookAgain{5};

bool is_success(unsigned status) {
  return status >= 200 && status < 300;
}

/// Of the receiver or the record: the operator does not allow the address, or the name's turn to be
/// looked up did not come.
bool says_nothing(ErrorCode code) {
  return code == ErrorCode::kUnauthorized || code == ErrorCode::kOverloaded;
}

/// Names a delivery for its receiver, the same in every attempt: when the webhook was made, the
/// partition (never another one's number), the offset.
std::string id_of(const hooks::Webhook& webhook, PartitionId partition, Offset offset) {
  return "msg_" + std::to_string(webhook.created.value()) + "_" +
         std::to_string(partition.value()) + "_" + std::to_string(offset.value());
}

}  // namespace

void WebhookInbox::put(Outcome outcome) {
  MutexLock lock(mutex_);
  outcomes_.push_back(std::move(outcome));
  changed_.notify_one();
}

void WebhookInbox::wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void WebhookInbox::close() {
  MutexLock lock(mutex_);
  closed_ = true;
  changed_.notify_one();
}

bool WebhookInbox::wait(std::chrono::nanoseconds most, std::vector<Outcome>& out) {
  MutexLock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + most;
  while (!closed_ && !woken_ && outcomes_.empty()) {
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) break;
  }
  woken_ = false;
  out = std::exchange(outcomes_, {});
  return !closed_;
}

WebhookRunner::WebhookRunner(const Shared& shared, hooks::Webhook webhook, std::uint64_t number)
    : shared_(shared),
      webhook_(std::move(webhook)),
      number_(number),
      deliveries_({webhook_.max_attempts, shared.policy.first, shared.policy.most}, {},
                  shared.random) {}

std::string WebhookRunner::place_key(std::string_view name, std::int32_t partition) {
  return std::string(hooks::kWebhookPlacePrefix) + std::string(name) + "/" +
         std::to_string(partition);
}

Result<std::vector<storage::StateChange>> WebhookRunner::begin_at(storage::Store& store,
                                                                  const hooks::Webhook& webhook,
                                                                  const protocol::Place& place) {
  RUNNEL_TRY_ASSIGN(const auto info, store.describe_topic(webhook.topic));
  std::vector<storage::StateChange> out;
  for (const auto& each : info.partitions) {
    RUNNEL_TRY_ASSIGN(const auto ref, store.partition(webhook.topic, each.index));
    hooks::Progress progress;
    progress.partition = store.partition_id(ref);
    RUNNEL_TRY_ASSIGN(progress.next, find_place(store, ref, place));
    out.push_back({place_key(webhook.name, each.index.value()), progress.encode()});
  }
  return out;
}

/// The topic's partitions and the places in them; again when there are more, or others.
Status WebhookRunner::open() {
  RUNNEL_TRY_ASSIGN(url_, Url::parse(webhook_.url));
  if (!filter_) {
    RUNNEL_TRY_ASSIGN(auto filter, protocol::RecordFilter::parse(webhook_.filter));
    filter_ = std::make_shared<const protocol::RecordFilter>(std::move(filter));
  }
  if (webhook_.body == hooks::BodyKind::kTemplate && !template_) {
    RUNNEL_TRY_ASSIGN(template_, hooks::BodyTemplate::parse(webhook_.text));
  }
  RUNNEL_TRY_ASSIGN(const auto info, shared_.store.describe_topic(webhook_.topic));
  for (std::size_t i = info.partitions.size(); i < partitions_.size(); ++i) {
    begin(static_cast<std::int32_t>(i), {});
  }
  partitions_.resize(std::min(partitions_.size(), info.partitions.size()));
  const std::string prefix = place_key(webhook_.name, 0);
  RUNNEL_TRY_ASSIGN(const auto entries,
                    shared_.store.read_state(prefix.substr(0, prefix.size() - 1)));
  bool changed = false;
  for (std::size_t i = 0; i < info.partitions.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    RUNNEL_TRY_ASSIGN(auto ref, shared_.store.partition(webhook_.topic, PartitionIndex(partition)));
    if (i < partitions_.size() && partitions_[i] == ref) continue;
    hooks::Progress progress;
    for (const auto& [key, value] : entries) {
      if (key != place_key(webhook_.name, partition)) continue;
      RUNNEL_TRY_ASSIGN(progress, hooks::Progress::decode(value));
      stored_[partition] = value;
    }
    const PartitionId id = shared_.store.partition_id(ref);
    if (progress.partition != id) progress = hooks::Progress{id, Offset(0), progress.lost, {}, {}};
    begin(partition, std::move(progress));
    partitions_.resize(std::max(partitions_.size(), i + 1));
    partitions_[i] = std::move(ref);
    changed = true;
  }
  if (changed) {
    watch_ = shared_.store.watch(partitions_, [inbox = shared_.inbox] { inbox->wake(); });
  }
  opened_ = true;
  look_again_ = shared_.clock.monotonic() + kLookAgain;
  return {};
}

void WebhookRunner::begin(std::int32_t partition, hooks::Progress progress) {
  std::erase_if(dead_, [&](const Dead& dead) { return dead.place.partition == partition; });
  unread_.erase(partition);
  deliveries_.begin(partition, std::move(progress));
}

void WebhookRunner::take(const WebhookInbox::Outcome& outcome) {
  if (outcome.ticket == 0) {
    if (outcome.answer) {
      for (auto& [partition, value] : storing_) stored_[partition] = std::move(value);
    }
    storing_.clear();
    return;
  }
  if (outcome.answer && is_success(outcome.answer->status)) {
    ++counts_.delivered;
    return deliveries_.delivered(outcome.place, outcome.ticket);
  }
  const std::string error =
      outcome.answer ? url_.authority() + " answered " + std::to_string(outcome.answer->status)
                     : outcome.answer.error().message();
  note(error);
  if (!outcome.answer && says_nothing(outcome.answer.error().code())) {
    return deliveries_.postponed(outcome.place, outcome.ticket,
                                 shared_.clock.monotonic() + kTryAgain);
  }
  ++counts_.failed_attempts;
  const auto wait = outcome.answer ? outcome.answer->retry_after : std::chrono::milliseconds(0);
  const bool is_dead =
      deliveries_.failed(outcome.place, outcome.ticket, shared_.clock.monotonic(), wait);
  if (is_dead) dead_.push_back({outcome.place, error});
}

void WebhookRunner::note(const std::string& error) {
  counts_.last_error = error;
  counts_.last_error_time = shared_.clock.now();
}

std::optional<std::chrono::nanoseconds> WebhookRunner::work() {
  if (webhook_.paused) {
    save();
    give_back();
    return std::nullopt;
  }
  const auto now = shared_.clock.monotonic();
  Status done = opened_ && now < look_again_ ? Status() : open();
  opened_ = done.has_value();  // else the topic may be another one
  if (opened_) {
    const Status buried = bury();
    done = read();
    if (!buried) done = buried;
  }
  problem_ = done ? std::string() : done.error().message();
  if (opened_) {
    send_due();
    save();
  }
  give_back();
  const auto again = shared_.clock.monotonic() + kTryAgain;
  if (!opened_) return again;
  if (has_more_) return now;
  const auto due = deliveries_.next_due();
  if (done) return due;
  return due ? std::min(*due, again) : again;
}

Status WebhookRunner::read() {
  std::vector<std::uint32_t> changed;
  if (watch_) watch_->take(changed);
  has_more_ = false;
  const auto now = shared_.clock.monotonic();
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    const auto before = unread_.find(partition);
    if (before != unread_.end() && now < before->second.again) continue;
    const Status read = read_partition(partition);
    if (read) {
      unread_.erase(partition);
    } else {
      unread_.insert_or_assign(partition, Trouble{read.error(), now + kTryAgain});
    }
  }
  if (!unread_.empty()) return fail(unread_.begin()->second.error);
  return {};
}

void WebhookRunner::give_back() {
  const std::size_t steps = deliveries_.waiting() == 0 ? 0 : deliveries_.bytes() / kMemoryStep + 1;
  if (leases_.size() > steps) leases_.resize(steps);
}

bool WebhookRunner::pay() {
  give_back();
  const std::uint64_t steps = deliveries_.bytes() / kMemoryStep + 1;
  while (leases_.size() < steps) {
    MemoryLease lease;
    if (!shared_.memory.take_standing(kMemoryStep, kMostStanding, share_, lease)) return false;
    leases_.push_back(std::move(lease));
  }
  return true;
}

/// One piece: other webhooks have their turn, however much a filter leaves out.
Status WebhookRunner::read_partition(std::int32_t partition) {
  const storage::PartitionRef& ref = partitions_.at(static_cast<std::size_t>(partition));
  if (!deliveries_.has_room(partition)) return {};
  const storage::PartitionInfo info = shared_.store.partition_info(ref);
  deliveries_.lose_before(partition, info.log_start);
  const Offset next = deliveries_.read_from(partition);
  if (next >= info.last_stable) return {};
  if (!pay()) {
    if (deliveries_.waiting() > 0) return {};  // when some of it is done, there is room
    return fail(ErrorCode::kOverloaded,
                "the broker's memory for what stays is used up; it is tried again, or raise the "
                "broker's memory limit");
  }
  const std::uint64_t paid = leases_.size() * kMemoryStep - deliveries_.bytes();
  const std::size_t room = std::min<std::size_t>(deliveries_.room_bytes(), paid);
  RecordScan scan(shared_.store, shared_.memory, shared_.clock, filter_,
                  {{partition, ref, next, std::nullopt}},
                  {deliveries_.room(partition), room, kReadBytes},
                  [this, room](const protocol::Record& record, std::int32_t of, const RecordScan&,
                               std::string& text) {
                    const std::size_t before = deliveries_.bytes();
                    add(record, of);
                    // What the scan counts as its text is what waits here. One that is done may
                    // take others of its kind with it.
                    const std::size_t after = std::max(deliveries_.bytes(), before);
                    text.append(std::min(after - before, room), ' ');
                  });
  const auto until = shared_.clock.monotonic() + kReadTime;
  while (!scan.work() && shared_.clock.monotonic() < until) {
  }
  if (scan.error()) return fail(*scan.error());
  const Offset read = scan.from().front().next;
  deliveries_.read_to(partition, read);
  if (read > next && deliveries_.has_room(partition)) has_more_ = true;
  return {};
}

void WebhookRunner::add(const protocol::Record& record, std::int32_t partition) {
  std::string body;
  switch (webhook_.body) {
    case hooks::BodyKind::kRecord:
      append_record(record, partition, body);
      break;
    case hooks::BodyKind::kValue:
      body = record.value.value_or("");
      break;
    case hooks::BodyKind::kTemplate:
      body = template_->render(record, webhook_.topic, partition);
      break;
  }
  deliveries_.add({partition, record.offset}, record.key, std::move(body),
                  shared_.clock.monotonic());
}

void WebhookRunner::send_due() {
  while (const auto sending = deliveries_.next(shared_.clock.monotonic())) {
    const auto& ref = partitions_.at(static_cast<std::size_t>(sending->place.partition));
    const std::string id = id_of(webhook_, shared_.store.partition_id(ref), sending->place.offset);
    const std::string seconds = std::to_string(shared_.clock.now().value() / 1000);
    OutgoingRequest request;
    request.url = url_;
    request.body = *sending->body;
    request.timeout = webhook_.timeout;
    request.headers = {{"User-Agent", "Runnel"},
                       {"Content-Type", webhook_.content_type},
                       {"webhook-id", id},
                       {"webhook-timestamp", seconds}};
    if (!webhook_.secrets.empty()) {
      request.headers.emplace_back("webhook-signature",
                                   hooks::sign(webhook_, id, seconds, request.body));
    }
    shared_.send(std::move(request),
                 [inbox = shared_.inbox, number = number_, place = sending->place,
                  ticket = sending->ticket](Result<OutgoingAnswer> answer) {
                   inbox->put({number, place, ticket, std::move(answer)});
                 });
  }
}

Status WebhookRunner::bury() {
  const auto now = shared_.clock.monotonic();
  Status out;
  for (auto dead = dead_.begin(); dead != dead_.end();) {
    if (!dead->trouble || now >= dead->trouble->again) {
      const Status buried = bury_one(*dead);
      if (buried) {
        dead = dead_.erase(dead);
        continue;
      }
      dead->trouble = Trouble{buried.error(), now + kTryAgain};
    }
    if (out) out = fail(dead->trouble->error);
    ++dead;
  }
  return out;
}

/// Without a form of it: retention or an erasure has taken the record, too.
Result<Letter> WebhookRunner::letter_of(const Dead& dead) {
  const auto& ref = partitions_.at(static_cast<std::size_t>(dead.place.partition));
  Letter letter;
  const auto write = [&](const protocol::Record& record, std::int32_t, const RecordScan&,
                         std::string&) {
    letter = make_letter(&record, webhook_, dead.place, dead.error, shared_.clock.now());
  };
  RecordScan scan(shared_.store, shared_.memory, shared_.clock, nullptr,
                  {{dead.place.partition, ref, dead.place.offset, dead.place.offset + 1}},
                  {1, 1, kReadBytes}, write);
  while (!scan.work()) {
  }
  if (!scan.error()) return letter;
  const ErrorCode why = scan.error()->code();
  const bool damaged = why == ErrorCode::kCorrupt || why == ErrorCode::kMalformed;
  if (!damaged) return fail(*scan.error());
  return make_letter(nullptr, webhook_, dead.place, dead.error, shared_.clock.now());
}

/// The letter and the place behind it in one write: it is neither lost nor doubled.
Status WebhookRunner::bury_one(const Dead& dead) {
  RUNNEL_TRY_ASSIGN(const auto letters, letters_partition(shared_.store, webhook_.name));
  RUNNEL_TRY_ASSIGN(Letter letter, letter_of(dead));
  std::string value = deliveries_.progress_without(dead.place).encode();
  const auto store = [&](Result<Buffer>* batch) -> Status {
    storage::CommitRequest request;
    if (batch != nullptr) {
      if (!*batch) return fail(batch->error());
      request.appends.push_back({letters, std::move(**batch), {}, std::nullopt});
    }
    request.state.push_back({place_key(webhook_.name, dead.place.partition), value});
    const auto outcome = shared_.store.commit_and_wait(std::move(request));
    return outcome.result ? Status() : Status(fail(outcome.result.error()));
  };
  Status stored = store(letter.empty() ? nullptr : &letter.front());
  for (std::size_t i = 1; i < letter.size(); ++i) {
    if (stored || stored.error().code() != ErrorCode::kRecordTooLarge) break;
    stored = store(&letter[i]);
  }
  RUNNEL_TRY(stored);
  stored_[dead.place.partition] = std::move(value);
  deliveries_.buried(dead.place);
  ++counts_.dead;
  return {};
}

std::vector<storage::StateChange> WebhookRunner::changes() const {
  std::vector<storage::StateChange> out;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    std::string value = deliveries_.progress(partition).encode();
    const auto known = stored_.find(partition);
    if (known != stored_.end() && known->second == value) continue;
    out.push_back({place_key(webhook_.name, partition), std::move(value)});
  }
  return out;
}

/// One write at a time; what happens meanwhile is in the next one. Not synced: after a crash what
/// was sent last is sent again, which is what receivers are told.
void WebhookRunner::save() {
  if (!storing_.empty()) return;
  storage::CommitRequest request;
  request.state = changes();
  if (request.state.empty()) return;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    storing_[partition] = deliveries_.progress(partition).encode();
  }
  request.durability = storage::Durability::kWritten;
  shared_.store.commit(std::move(request), [inbox = shared_.inbox, number = number_](
                                               const storage::CommitOutcome& outcome) {
    Result<OutgoingAnswer> answer = OutgoingAnswer{};
    if (!outcome.result) answer = fail(outcome.result.error());
    inbox->put({number, {}, 0, std::move(answer)});
  });
}

void WebhookRunner::finish() {
  storage::CommitRequest request;
  request.state = changes();
  if (request.state.empty()) return;
  request.durability = storage::Durability::kWritten;
  // If it fails what was sent last is sent again, as after a crash.
  static_cast<void>(shared_.store.commit_and_wait(std::move(request)));
}

std::vector<WebhookPlace> WebhookRunner::places() const {
  std::vector<WebhookPlace> out;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const auto partition = static_cast<std::int32_t>(i);
    out.push_back({partition, partitions_[i], deliveries_.done_to(partition), 0,
                   deliveries_.lost(partition)});
  }
  return out;
}

}  // namespace runnel::broker::http
