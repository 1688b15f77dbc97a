// Takes the records of a request to their partitions and makes one commit of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/http/append_rows.h"
#include "broker/http/call.h"
#include "broker/http/service.h"
#include "broker/schemas/record_check.h"
#include "broker/sessions/memory_gate.h"

namespace runnel::broker::http {

/// The source of the dedup keys that requests with an Idempotency-Key have. Persisted.
inline constexpr std::string_view kIdempotencySource = "idempotency-key";

/// Where a record of the body went.
struct Placed {
  std::size_t append = 0;  ///< of the commit's appends
  std::int32_t index = 0;  ///< within that
  std::size_t entry = 0;   ///< of its dedup entries, if it has a key of its own
  bool has_entry = false;
};

/// Records made ready for the store.
struct Prepared {
  storage::CommitRequest commit;
  std::vector<std::int32_t> partitions;  ///< of the appends
  std::vector<Placed> records;           ///< in the order they came
  std::vector<MemoryLease> leases;       ///< for what became more than the body
};

/// Of a topic, by its first partition. kUnknownTopic.
[[nodiscard]] Result<storage::RecordRules> rules_of(storage::Store& store,
                                                    const std::string& topic);

/// Keeps memory with the call for `times` its body, unless that is small: for the batches that are
/// made of it, and what reading it needs. kOverloaded: there is none, and nothing was stored.
[[nodiscard]] Status pay_for_body(Call& call, std::size_t times);

/// Where records go, and what makes a repeat of them one.
struct Placing {
  struct Idempotency {
    std::string_view key;
    std::uint64_t request_hash = 0;  ///< of all that is stored
  };
  std::string topic;
  std::int32_t count = 1;  ///< of partitions
  storage::RecordRules rules;
  std::optional<std::int32_t> partition = {};  ///< of records that name none; nullopt: by their key
  std::optional<Idempotency> idempotency = {};
};

/// Used by one thread at a time.
class Placer {
 public:
  /// `service` and the idempotency's key outlive it.
  Placer(HttpService& service, Placing placing);
  ~Placer();

  /// Blocks where the topic asks for schemas. A record that is refused leaves nothing behind, but
  /// for kRecordTooLarge; others: kInvalidArgument, kUnknownPartition, kIo.
  [[nodiscard]] Status add(AppendRow& row);
  /// Once. kInvalidArgument: some records had dedup and some had none.
  [[nodiscard]] Result<Prepared> finish();

 private:
  class Share;
  [[nodiscard]] std::int32_t partition_of(const AppendRow& row) const;
  [[nodiscard]] Result<std::size_t> share_of(std::int32_t partition);

  HttpService& service_;
  const Placing placing_;
  schemas::RecordCheck schemas_;
  std::int32_t rest_ = 0;  ///< where records go that have nothing to go by
  std::size_t dedups_ = 0;
  std::vector<std::unique_ptr<Share>> shares_;
  std::map<std::int32_t, std::size_t> places_;
  Prepared out_;
};

}  // namespace runnel::broker::http
