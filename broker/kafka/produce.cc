// Produce: each partition's batch is a commit of its own; the answer goes out with the last of
// them. A transactional batch goes by way of the coordinator, which knows whether it may come.
#include <algorithm>
#include <memory>
#include <utility>

#include "broker/kafka/errors.h"
#include "broker/kafka/handlers.h"
#include "broker/kafka/partitions.h"
#include "broker/kafka/record_check.h"
#include "broker/kafka/transactions.h"
#include "protocol/base/bytes.h"
#include "protocol/kafka/produce.h"
#include "protocol/record_batch/compression.h"
#include "protocol/record_batch/crc32c.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::broker {
namespace {

using kafka::KafkaError;
using kafka::ProduceRequest;
using kafka::ProduceResponse;

constexpr std::int16_t kFirstWithBatches = 3;
constexpr std::int16_t kFirstWithZstd = 7;
/// From these versions on clients know TRANSACTION_ABORTABLE, and join partitions to transactions
/// by writing to them.
constexpr std::int16_t kFirstWithAbortable = 11;
constexpr std::int16_t kFirstThatJoins = 12;
constexpr std::int16_t kFirstWithTopicIds = 13;
constexpr std::int16_t kAcksAll = -1;

/// Of a batch's bytes: those that its length does not count, and from where on its checksum does.
constexpr std::int64_t kLengthOverhead = 12;
constexpr std::size_t kChecksumFrom = 21;

/// The answer while its partitions are being committed. Loop thread only, but for `left`.
struct PendingProduce {
  CallRef call;
  ProduceRequest request;
  ProduceResponse response;
  std::atomic<std::size_t> left{1};  ///< commits under way, and one for the handler itself
  /// Results by place: written by whoever commits, read once all are there.
  struct Committed {
    std::size_t topic = 0;
    std::size_t partition = 0;
    bool transactional = false;
    storage::PartitionRef of;
    storage::CommitOutcome outcome;
  };
  std::vector<Committed> commits;
};

KafkaError error_of(const Error& error) {
  // A batch that does not follow the format: kafka's clients give up on either.
  if (error.code() == ErrorCode::kInvalidArgument) return KafkaError::kInvalidRecord;
  return kafka_error(error);
}

/// What a transactional batch was refused for.
KafkaError transactional_error(const Error& error, std::int16_t version) {
  switch (error.code()) {
    case ErrorCode::kConcurrentTransactions:
      // Who does not expect it here tries again on this.
      return version < kFirstThatJoins ? KafkaError::kNotEnoughReplicas
                                       : KafkaError::kConcurrentTransactions;
    case ErrorCode::kInvalidTxnState:
    case ErrorCode::kProducerFenced:
    case ErrorCode::kTooManyPartitions:
      return participation_error(error.code(), version >= kFirstWithAbortable);
    default:
      return error_of(error);
  }
}

/// Whether the bytes have the form of one batch of today's format.
Status check_form(Bytes bytes) {
  // Kafka takes what is announced but not there for no batch at all, and what is shorter than any
  // header for damage.
  if (bytes.size() < protocol::kBatchHeaderBytes) {
    return fail(ErrorCode::kMalformed, "the records are no whole batch");
  }
  const protocol::BatchView batch(bytes);
  const std::int64_t size = std::int64_t{load_be<std::int32_t>(&bytes[8])} + kLengthOverhead;
  if (size > static_cast<std::int64_t>(bytes.size())) {
    return fail(ErrorCode::kMalformed, "the records are no whole batch");
  }
  if (size < static_cast<std::int64_t>(protocol::kBatchHeaderBytes)) {
    return fail(ErrorCode::kCorrupt, "the batch is shorter than its header");
  }
  if (batch.magic() != protocol::kBatchMagic) {
    const bool older = batch.magic() == 0 || batch.magic() == 1;
    return fail(older ? ErrorCode::kMalformed : ErrorCode::kCorrupt,
                "the batch has magic " + std::to_string(batch.magic()) + ", not 2");
  }
  if (size != static_cast<std::int64_t>(bytes.size())) {
    return fail(ErrorCode::kMalformed, "a partition's records are one batch, nothing behind it");
  }
  return {};
}

/// Whether the batch arrived as it was sent and has a header that may be appended.
Status check_header(Bytes bytes, std::int16_t version) {
  const protocol::BatchView batch(bytes);
  const auto valid = protocol::validate_batch(bytes, protocol::Depth::kCrc);
  if (!valid) {
    // What is wrong in a damaged batch says nothing about who made it.
    const bool damaged = protocol::crc32c(bytes.subspan(kChecksumFrom)) != batch.crc();
    return fail(damaged ? ErrorCode::kCorrupt : valid.error().code(), valid.error().message());
  }
  if (batch.is_control()) {
    return fail(ErrorCode::kMalformed, "clients can't write control batches");
  }
  if (batch.last_offset_delta() + 1 != batch.record_count()) {
    return fail(ErrorCode::kMalformed, "the record count does not fit the last offset");
  }
  if (batch.codec() == protocol::Codec::kZstd && version < kFirstWithZstd) {
    return fail(ErrorCode::kUnsupported, "zstd needs Produce version 7");
  }
  RUNNEL_TRY(
      protocol::check_compressed_head(batch.codec(), bytes.subspan(protocol::kBatchHeaderBytes)));
  return {};
}

void set_error(ProduceResponse::Partition& partition, KafkaError error, std::string message) {
  partition.error = error;
  if (!message.empty()) partition.error_message = std::move(message);
}

void settle(ProduceResponse::Partition& partition, const PendingProduce::Committed& committed,
            std::int16_t version) {
  const storage::CommitOutcome& outcome = committed.outcome;
  if (!outcome.result) {
    const Error& error = outcome.result.error();
    partition.record_errors.clear();
    return set_error(
        partition, committed.transactional ? transactional_error(error, version) : error_of(error),
        error.message());
  }
  if (outcome.result->appends.empty()) return;  // refused before: its error stands
  const storage::AppendResult& result = outcome.result->appends.at(0);
  partition.base_offset = result.base_offset;
  partition.log_append_time = result.append_time;
  partition.log_start_offset = result.log_start;
}

bool is_repeat(const PendingProduce::Committed& c) {
  return c.outcome.result && !c.outcome.result->appends.empty() &&
         c.outcome.result->appends.front().duplicate;
}

/// What a repeated batch was stamped with when it was stored lies in the log, and nowhere else. One
/// that is not there any more has no time.
void read_append_times(PendingProduce& pending) {
  for (auto& c : pending.commits) {
    if (!is_repeat(c)) continue;
    storage::AppendResult& result = c.outcome.result->appends.at(0);
    storage::FetchRequest first_batch;
    first_batch.items.push_back({c.of, result.base_offset, 1});
    const auto fetched = pending.call->store().fetch_and_wait(std::move(first_batch));
    const Bytes bytes = fetched.at(0).batches.bytes();
    if (fetched.at(0).head.error || bytes.size() < protocol::kBatchHeaderBytes) continue;
    const protocol::BatchView batch(bytes);
    if (batch.base_offset() == result.base_offset && batch.is_log_append_time()) {
      result.append_time = batch.max_timestamp();
    }
  }
}

void reply(PendingProduce& pending) {
  for (const auto& c : pending.commits) {
    settle(pending.response.topics[c.topic].partitions[c.partition], c, pending.call->version());
  }
  pending.call->reply(pending.response);
}

void finish(const std::shared_ptr<PendingProduce>& pending) {
  if (std::none_of(pending->commits.begin(), pending->commits.end(), is_repeat)) {
    return reply(*pending);
  }
  run_blocking(
      pending->call,
      [pending] {
        read_append_times(*pending);
        return true;
      },
      [pending](bool) { reply(*pending); });
}

/// One commit less to wait for; the last one answers.
void one_done(const std::shared_ptr<PendingProduce>& pending, bool on_loop) {
  if (pending->left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (on_loop) return finish(pending);
  pending->call->on_loop([pending] { finish(pending); });
}

/// The commit of one partition, and what makes it one of a transaction. Of a transactional batch
/// that is refused there is no append: whether its producer may write at all comes first.
struct Prepared {
  storage::PartitionRef of;
  storage::CommitRequest commit;
  std::optional<TransactionCoordinator::Write> transactional;
  std::optional<schemas::RecordCheck> schemas;  ///< that its records have to pass, on a worker
};

/// Whether the records may be appended. What others could not read is refused here: the walk over
/// records that are not compressed needs no decoding. Compressed ones are looked at where they are
/// suspicious, where the topic wants to know what is in them, or if that is wished for.
Result<CheckedRecords> check_batch(Call& call, const storage::RecordRules& rules, Bytes bytes) {
  // What is wrong is told in Kafka's order.
  if (protocol::BatchView(bytes).base_offset() != Offset(0)) {
    return fail(ErrorCode::kMalformed, "a new batch begins at offset 0");
  }
  // Here, and before what is wrong with single records: the store goes by the config of a moment
  // later, which may let it pass without a look at them.
  if (bytes.size() > static_cast<std::size_t>(rules.max_batch_bytes)) {
    return fail(ErrorCode::kRecordTooLarge, "the batch has " + std::to_string(bytes.size()) +
                                                " bytes, max.message.bytes of the topic is " +
                                                std::to_string(rules.max_batch_bytes));
  }
  RUNNEL_TRY(check_header(bytes, call.version()));
  const Timestamp now = call.service().clock().now();
  if (!call.service().options().check_compressed &&
      !needs_walk(protocol::BatchView(bytes), rules, now)) {
    return CheckedRecords{};
  }
  return check_records(bytes, rules, now);
}

/// What was found about the records, or nothing and the error in `answer`.
std::optional<CheckedRecords> check(Call& call, const storage::RecordRules& rules, Bytes bytes,
                                    ProduceResponse::Partition& answer) {
  auto checked = check_batch(call, rules, bytes);
  if (!checked) {
    const Error& error = checked.error();
    const bool codec = error.code() == ErrorCode::kUnsupported;
    set_error(answer, codec ? KafkaError::kUnsupportedCompressionType : error_of(error),
              error.message());
    return std::nullopt;
  }
  if (checked->error != KafkaError::kNone) {
    set_error(answer, checked->error, std::move(checked->message));
    answer.record_errors = std::move(checked->records);
    return std::nullopt;
  }
  return std::move(*checked);
}

storage::CommitRequest commit_of(Call& call, const ProduceRequest& request,
                                 storage::PartitionRef partition, Bytes records,
                                 const CheckedRecords& checked) {
  storage::CommitRequest commit;
  // acks=1 as well: a Kafka client expects to find at once what was acknowledged, and only what is
  // durable is visible.
  commit.durability =
      request.acks == 0 ? storage::Durability::kWritten : storage::Durability::kSynced;
  const auto at = static_cast<std::size_t>(records.data() - call.frame().data());
  commit.appends.push_back(
      {std::move(partition), call.frame().slice(at, records.size()), {}, std::nullopt});
  if (checked.max_timestamp) {
    protocol::stamp_create_time(commit.appends.back().batches.mutable_bytes(),
                                *checked.max_timestamp);
  }
  return commit;
}

/// One partition's share of the request, or its error in `answer`; or both, see Prepared.
std::optional<Prepared> prepare(Call& call, const ProduceRequest& request, const NamedTopic& topic,
                                const ProduceRequest::Partition& asked,
                                ProduceResponse::Partition& answer) {
  if (topic.error != KafkaError::kNone) {
    set_error(answer, topic.error, {});
    return std::nullopt;
  }
  auto found = call.store().partition(topic.name, asked.index);
  if (!found) {
    set_error(answer, kafka_error(found.error()), found.error().message());
    return std::nullopt;
  }
  if (!asked.records || asked.records->empty()) {
    set_error(answer, KafkaError::kInvalidRecord, "there are no records");
    return std::nullopt;
  }
  if (const Status valid = check_form(*asked.records); !valid) {
    set_error(answer, error_of(valid.error()), valid.error().message());
    return std::nullopt;
  }
  if (request.acks < kAcksAll || request.acks > 1) {
    set_error(answer, KafkaError::kInvalidRequiredAcks, {});
    return std::nullopt;
  }
  const storage::RecordRules rules = call.store().record_rules(*found);
  const auto checked = check(call, rules, *asked.records, answer);
  const protocol::BatchView batch(*asked.records);
  // Who asks for a codec that its version does not know learns of nothing else.
  const bool understood = answer.error != KafkaError::kUnsupportedCompressionType;
  if (!checked && !(batch.is_transactional() && understood)) return std::nullopt;
  Prepared prepared;
  prepared.of = *found;
  if (checked) {
    if (rules.asks_for_schemas()) {
      prepared.schemas.emplace(call.service().schemas(), topic.name, rules);
    }
    prepared.commit = commit_of(call, request, std::move(*found), *asked.records, *checked);
  }
  if (batch.is_transactional()) {
    const bool joins = call.version() >= kFirstThatJoins;
    // There each transaction has an epoch of its own: its first batch was lost if this is another.
    for (storage::AppendItem& item : prepared.commit.appends) item.new_producers_from_zero = joins;
    // A view of the request's own text, which PendingProduce keeps.
    const auto& id = request.transactional_id;
    prepared.transactional = {id ? std::string_view(*id) : std::string_view(),
                              {batch.producer_id(), batch.producer_epoch()},
                              {topic.name, asked.index},
                              joins};
  }
  return prepared;
}

/// An error in every partition of the answer.
ProduceResponse refused(const ProduceRequest& request, KafkaError error) {
  ProduceResponse response;
  for (const auto& topic : request.topics) {
    auto& to = response.topics.emplace_back();
    to.name = topic.name;
    to.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      to.partitions.emplace_back().index = partition.index;
      to.partitions.back().error = error;
    }
  }
  return response;
}

/// acks=0: nothing is answered, but a client that writes what can't be stored loses its connection,
/// which is all that can be told.
void close_unanswered(const CallRef& call, const ProduceResponse::Partition& failed) {
  call->close_connection(Error(ErrorCode::kInvalidArgument,
                               "produce with acks=0 failed: " + failed.error_message.value_or("") +
                                   " (" + std::string(kafka::name_of(failed.error)) + ")"));
}

void finish_unanswered(const PendingProduce& pending, const CallRef& call) {
  for (const auto& topic : pending.response.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error != KafkaError::kNone) return close_unanswered(call, partition);
    }
  }
  call->reply_nothing();
}

/// What the store refuses comes to light when the request is done with.
void stored_unanswered(const CallRef& call, bool transactional,
                       const storage::CommitOutcome& outcome) {
  if (outcome.result) return;
  call->on_loop([call, committed = PendingProduce::Committed{0, 0, transactional, {}, outcome}] {
    ProduceResponse::Partition failed;
    settle(failed, committed, call->version());
    close_unanswered(call, failed);
  });
}

void queue(Call& call, Prepared prepared, storage::CommitCallback done) {
  if (!prepared.transactional) {
    return call.store().queue_commit(std::move(prepared.commit), std::move(done));
  }
  TransactionCoordinator& transactions = call.service().transactions();
  const Timestamp now = call.service().transaction_now();
  if (!prepared.commit.appends.empty()) {
    return transactions.write(*prepared.transactional, std::move(prepared.commit), now,
                              std::move(done));
  }
  transactions.write_nothing(
      *prepared.transactional, now, [done = std::move(done)](const Status& status) {
        done({status ? Result<storage::CommitResult>() : fail(status.error()), {}});
      });
}

using PendingRef = std::shared_ptr<PendingProduce>;

/// Of the pending commit of this number.
void commit(const PendingRef& pending, std::size_t i, Prepared prepared) {
  const CallRef& call = pending->call;
  if (pending->request.acks == 0) {
    const bool transactional = prepared.transactional.has_value();
    // The call, and with it the request's memory, lives until the records are written.
    return queue(*call, std::move(prepared),
                 [call, transactional](const storage::CommitOutcome& outcome) {
                   stored_unanswered(call, transactional, outcome);
                 });
  }
  queue(*call, std::move(prepared), [pending, i](storage::CommitOutcome outcome) {
    pending->commits[i].outcome = std::move(outcome);
    one_done(pending, false);
  });
}

/// The same of a batch that was looked at on a worker.
void commit_checked(const PendingRef& pending, std::size_t i, Prepared prepared,
                    const Result<CheckedRecords>& checked) {
  if (checked && checked->error == KafkaError::kNone) {
    return commit(pending, i, std::move(prepared));
  }
  const auto& at = pending->commits[i];
  auto& answer = pending->response.topics[at.topic].partitions[at.partition];
  if (checked) {
    set_error(answer, checked->error, checked->message);
    answer.record_errors = checked->records;
  } else {
    set_error(answer, error_of(checked.error()), checked.error().message());
  }
  if (pending->request.acks == 0) return close_unanswered(pending->call, answer);
  if (!prepared.transactional) return one_done(pending, true);
  prepared.commit.appends.clear();
  commit(pending, i, std::move(prepared));
}

/// In the order of the requests, for a connection's jobs are.
void check_and_commit(const PendingRef& pending, std::size_t i, Prepared prepared) {
  const Bytes batch = prepared.commit.appends.front().batches.bytes();
  auto check = *std::exchange(prepared.schemas, std::nullopt);
  const auto held = std::make_shared<Prepared>(std::move(prepared));
  run_blocking(
      pending->call, [batch, check = std::move(check)] { return check_schemas(check, batch); },
      [pending, i, held](const Result<CheckedRecords>& checked) {
        commit_checked(pending, i, std::move(*held), checked);
      });
}

}  // namespace

void handle_produce(const CallRef& call) {
  auto decoded = call->decode<ProduceRequest>();
  if (!decoded) return;
  const auto pending = std::make_shared<PendingProduce>();
  pending->request = std::move(*decoded);
  const ProduceRequest& request = pending->request;
  if (call->version() < kFirstWithBatches) {
    return call->reply(refused(request, KafkaError::kUnsupportedForMessageFormat));
  }
  std::vector<Prepared> commits;
  for (const auto& topic : request.topics) {
    const NamedTopic named =
        named_topic(*call, topic.name, topic.topic_id, call->version() >= kFirstWithTopicIds);
    auto& to = pending->response.topics.emplace_back();
    to.name = topic.name;
    to.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      auto& answer = to.partitions.emplace_back();
      answer.index = partition.index;
      auto prepared = prepare(*call, request, named, partition, answer);
      if (!prepared) continue;
      const bool transactional = prepared->transactional.has_value();
      if (transactional && !request.transactional_id) {
        return call->reply(refused(request, KafkaError::kTransactionalIdAuthorizationFailed));
      }
      pending->commits.push_back({pending->response.topics.size() - 1,
                                  to.partitions.size() - 1,
                                  transactional,
                                  prepared->of,
                                  {}});
      commits.push_back(std::move(*prepared));
    }
  }
  pending->call = call;
  pending->left += commits.size();
  for (std::size_t i = 0; i < commits.size(); ++i) {
    if (commits[i].schemas) {
      check_and_commit(pending, i, std::move(commits[i]));
    } else {
      commit(pending, i, std::move(commits[i]));
    }
  }
  if (request.acks == 0) return finish_unanswered(*pending, call);
  one_done(pending, true);
}

}  // namespace runnel::broker
