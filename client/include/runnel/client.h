// Runnel's C++ client: the whole public interface is behind this header.
//
//   auto client = runnel::connect("localhost:9092");
//   if (!client) { std::cerr << client.error().to_string() << "\n"; return 1; }
//   auto producer = client->producer();
//   auto sent = producer.send({.topic = "donations", .key = "42", .value =
//   R"({"amount":10})"}).get();
//
// runnel::open("./data") gives the same Client over a store in this process, without a server.
//
// Operations return a Pending: .get() blocks, .then(f) calls back, .future() gives a std::future.
// A client has one I/O thread, on which all callbacks run. Nothing throws. No destructor waits for
// the network; that of the last handle waits for callbacks that run, and open()'s for the store to
// close (unless it runs inside a callback).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/admin.h"
#include "runnel/consumer.h"
#include "runnel/error.h"
#include "runnel/pending.h"
#include "runnel/producer.h"
#include "runnel/replay.h"
#include "runnel/types.h"
#include "runnel/views.h"

namespace runnel {

struct ClientOptions {
  std::string client_name = "runnel-cpp";             ///< shown in group descriptions
  std::chrono::milliseconds connect_timeout{10'000};  ///< of connect(), and of each reconnection
  std::chrono::milliseconds request_timeout{30'000};  ///< of fetches, administration, commits
  std::chrono::milliseconds reconnect_backoff{50};    ///< doubles, with jitter ...
  std::chrono::milliseconds reconnect_backoff_max{2'000};  ///< ... up to this
};

/// For open(): the store in this process.
struct OpenOptions {
  ClientOptions client;
  std::uint64_t memory_bytes = 256u << 20;      ///< bound of the store's memory
  std::uint64_t view_memory_bytes = 64u << 20;  ///< bound of the views', once there is one
  /// Receives the store's messages; any thread, must not block.
  std::function<void(std::string_view)> log;
};

/// One atomic write: all records, offsets and preconditions of it, or nothing. Built by one thread;
/// everything given is copied.
class RUNNEL_API Transaction {
 public:
  Transaction();
  ~Transaction();
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  Transaction(const Transaction&);
  Transaction& operator=(const Transaction&);

  /// Adds a record. In one partition, either all records of a transaction have dedup keys or none
  /// (commit() answers Errc::invalid_argument): with keys, those already stored are left out and
  /// reported as duplicates.
  Transaction& add(const Message& message);
  /// Commits a group's offsets along with it; `as` is a consumer's membership, checked, or only
  /// {group} to commit from outside.
  Transaction& commit_offsets(Consumer::Membership as, std::vector<GroupOffset> offsets);
  /// Fails with Errc::fenced if a greater token was ever passed under `name`.
  Transaction& fence(std::string name, std::uint64_t token);
  /// Fails with Errc::precondition_failed unless the partition's next offset is `next`. Needs a
  /// record for that partition.
  Transaction& expect_next(TopicPartition partition, std::int64_t next);
  Transaction& durability(Durability level);
  /// Answer when the views that read these partitions have the records, so that a query that
  /// follows sees them; Committed::applied says if that was so within `at_most` after the write.
  Transaction& wait_applied(std::chrono::milliseconds at_most = std::chrono::seconds(30));
  Transaction& compression(Compression codec);

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct Committed {
  std::vector<Delivery> deliveries;  ///< one a record, in the order of add()
  Durability durability = Durability::synced;
  bool applied = false;  ///< Transaction::wait_applied(): the running views have the records
};

/// A fetch of one's own, without a consumer.
struct FetchRequest {
  struct Item {
    TopicPartition target;
    std::int64_t offset = 0;
    std::uint32_t max_bytes = 1u << 20;  ///< one batch comes even if it is larger
  };
  std::vector<Item> items;
  std::uint32_t max_bytes = 16u << 20;
  std::uint32_t min_bytes = 1;
  std::chrono::milliseconds max_wait{0};
  /// As ConsumerOptions::filter. An answer may then have no batches and a greater `next`.
  std::vector<std::string> filter = {};
};
/// A Kafka client's transaction that was aborted: its producer's transactional batches from `first`
/// up to the abort marker are no records.
struct AbortedTransaction {
  std::int64_t producer = 0;
  std::int64_t first = 0;
};
struct FetchedPartition {
  TopicPartition target;
  std::optional<Failure> error;
  std::int64_t high_watermark = 0;  ///< the offset behind the last record that can be read
  std::int64_t log_start = 0;
  /// Record batches as stored (Kafka's format v2), back to back; the first may begin before the
  /// offset asked for. Kept alive by `owner`.
  std::span<const std::byte> batches;
  std::shared_ptr<const void> owner;
  std::vector<AbortedTransaction> aborted;  ///< among the batches, by ascending `first`
  /// The offset to ask for next; kNoPosition from a broker of a version that does not say.
  std::int64_t next = kNoPosition;
  bool filtered = false;         ///< false although there is a filter: the broker is too old for it
  std::uint64_t unreadable = 0;  ///< records left out that the filter can't judge
  /// The records from `from` on, decompressed, without those of aborted transactions.
  /// Errc::corrupt, Errc::malformed.
  [[nodiscard]] RUNNEL_API Outcome<Batch> decode(std::int64_t from) const;
};

struct ServerInfo {
  std::string version;
  std::string cluster_id;
};

/// A connection that reconnects by itself. Reads (fetch(), most of Admin) that were under way go
/// out again, within their own time-out; other calls end with Action::maybe_persisted. Thread safe.
/// A cheap handle: copies are the same client; producers, consumers, subscriptions and Admin are
/// handles of it, too. When the last handle goes, what is under way ends with Errc::cancelled; no
/// operation keeps the client alive.
class RUNNEL_API Client {
 public:
  [[nodiscard]] Producer producer(ProducerOptions options = {});
  [[nodiscard]] Consumer consumer(ConsumerOptions options = {});
  [[nodiscard]] Admin admin();
  [[nodiscard]] Views views();

  /// Writes `transaction` as one atomic request, repeated safely after a lost answer. Those under
  /// way at the same time are stored in the order of the calls, unless one has to be repeated; one
  /// whose topics cannot be looked up holds up those behind it, until its time-out.
  /// Errors: precondition_failed, fenced, dedup_conflict, record_too_large, unknown_topic, timeout.
  Pending<Committed> commit(const Transaction& transaction);
  /// One answer an item, in order.
  Pending<std::vector<FetchedPartition>> fetch(FetchRequest request);
  /// Calls `on_records` on the I/O thread with each delivery, in order within a partition. A
  /// Failure is the last call. Answers once the broker has accepted.
  Pending<Subscription> subscribe(SubscribeOptions options,
                                  std::function<void(Outcome<Batch>)> on_records);

  [[nodiscard]] ServerInfo server() const;
  /// True while the connection stands.
  [[nodiscard]] bool connected() const;

  struct Impl;
  explicit Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

/// Connects to "host:port", "host" (port 9092) or "[v6]:port" and waits for the broker's greeting.
/// Several places where the one broker may be are separated by ','. They and the addresses of a
/// name are tried in order and share the time-out; one that is dead does not use it up. Errors:
/// disconnected (who did not answer and why), version_mismatch, invalid_argument.
[[nodiscard]] RUNNEL_API Outcome<Client> connect(std::string_view address,
                                                 ClientOptions options = {});

/// Opens or creates the store in `directory`, in this process. In the library runnel::embedded.
/// Errors: locked (who holds it), corrupt, format_too_new, io.
[[nodiscard]] RUNNEL_API Outcome<Client> open(const std::string& directory,
                                              OpenOptions options = {});

}  // namespace runnel
