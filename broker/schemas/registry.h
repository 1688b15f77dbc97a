// The registry on a store: the topic _schemas is its log, and what it knows is what that says. Who
// else writes to the topic, as a mirror of another registry does, is followed.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "broker/schemas/rules.h"
#include "broker/schemas/state.h"
#include "protocol/base/thread_annotations.h"
#include "storage/store.h"

namespace runnel::broker::schemas {

/// What somebody writes records with.
struct WritingSchema {
  SchemaType type = SchemaType::kAvro;
  std::shared_ptr<const JsonSchema> json;  ///< of JSON Schemas alone
};

/// Thread safe. All calls block: for the log's news, and changes until they are on stable storage.
class Registry {
 public:
  using Log = std::function<void(std::string_view)>;
  using Change = std::vector<LogRecord>;

  /// Both outlive it. `warn` is told of records that cannot be read; may be empty.
  Registry(storage::Store& store, storage::Clock& clock, Log warn)
      : store_(store), clock_(clock), warn_(std::move(warn)) {}

  /// Calls `look` with all that is known now. kStoreFailed.
  [[nodiscard]] Reply<void> read(const std::function<Reply<void>(const RegistryState&)>& look)
      RUNNEL_EXCLUDES(mutex_);
  /// Writes what `decide` makes of what is known, in one commit, and returns when it is durable and
  /// known. `decide` is called again if others wrote meanwhile. Errors: its own; kStoreFailed.
  [[nodiscard]] Reply<void> write(const std::function<Reply<Change>(const RegistryState&)>& decide)
      RUNNEL_EXCLUDES(writing_, mutex_);
  /// The schema of this id, for records of a subject that has it in a version that is not deleted.
  /// Errors end a sentence: kSubjectNotFound, kSchemaNotFound, kVersionNotFound, kInvalidSchema (it
  /// was imported unchecked and can't be read); kStoreFailed.
  [[nodiscard]] Reply<WritingSchema> writing_schema(const std::string& subject, SchemaId id)
      RUNNEL_EXCLUDES(mutex_);

  /// Records of the log that could not be read, since the start.
  [[nodiscard]] std::uint64_t unreadable() const noexcept {
    return unreadable_.load(std::memory_order_relaxed);
  }

 private:
  /// The log; null: there is no such topic yet.
  [[nodiscard]] Result<storage::PartitionRef> open_log() RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status catch_up() RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status apply_batches(Bytes batches,
                                     std::vector<storage::AbortedTransaction> aborted)
      RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status apply_batch(Bytes batch) RUNNEL_REQUIRES(mutex_);
  /// `schema` made ready to check with, from `parsed_` or by reading it.
  [[nodiscard]] Reply<std::shared_ptr<const JsonSchema>> parsed(SchemaId id, const Schema& schema)
      RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] Status create_log();
  [[nodiscard]] Result<bool> commit(const Change& change, Offset next);

  storage::Store& store_;
  storage::Clock& clock_;
  const Log warn_;
  Mutex writing_;  ///< one writer at a time; taken before mutex_
  Mutex mutex_;
  bool is_open_ RUNNEL_GUARDED_BY(mutex_) = false;
  std::optional<PartitionId> log_ RUNNEL_GUARDED_BY(mutex_);  ///< nullopt: it is not there yet
  Offset next_ RUNNEL_GUARDED_BY(mutex_){0};  ///< of the records that are not known yet
  RegistryState state_ RUNNEL_GUARDED_BY(mutex_);
  struct Parsed {
    std::string text;  ///< that it was made of
    std::shared_ptr<const JsonSchema> schema;
  };
  std::map<SchemaId, Parsed> parsed_ RUNNEL_GUARDED_BY(mutex_);
  std::size_t parsed_bytes_ RUNNEL_GUARDED_BY(mutex_) = 0;  ///< of its texts
  std::atomic<std::uint64_t> unreadable_{0};
};

}  // namespace runnel::broker::schemas
