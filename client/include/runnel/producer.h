// Writing records: batched by partition, retried without ever making a duplicate.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "runnel/pending.h"
#include "runnel/types.h"

namespace runnel {

struct ProducerOptions {
  Durability durability = Durability::synced;
  Compression compression = Compression::none;
  int compression_level = 0;             ///< the codec's own scale; 0: its default
  std::size_t batch_bytes = 64u << 10;   ///< a batch is sent when it is this large ...
  std::chrono::milliseconds linger{0};   ///< ... or this old; 0: as soon as the window has room
  std::size_t buffer_bytes = 32u << 20;  ///< records not yet answered; above it send() waits
  int window = 5;                        ///< batches in flight a partition, 1 to 5
  std::chrono::milliseconds send_timeout{60'000};       ///< longest wait of send() for room
  std::chrono::milliseconds delivery_timeout{120'000};  ///< from send() to the outcome
  std::chrono::milliseconds request_timeout{30'000};    ///< of one attempt
  std::chrono::milliseconds retry_backoff{50};          ///< first pause; doubles up to 2 s
  /// A record's outcome comes when the views that read its partition have it, or this long after it
  /// was stored: Delivery::applied tells. 0: views are not waited for. It counts in
  /// `request_timeout`, so keep it shorter.
  std::chrono::milliseconds applied_timeout{0};
  /// Chooses a partition in [0, count). Default: murmur2 of the key as Kafka's clients do; without
  /// a key, one partition until its batch is sent, then another. Called on send()'s thread or the
  /// I/O thread.
  std::function<std::int32_t(const Message&, std::int32_t count)> partitioner;
};

/// Counters since the producer was made.
struct ProducerStats {
  std::uint64_t records_sent = 0;  ///< acknowledged
  std::uint64_t duplicates = 0;    ///< of them, answered with an earlier record's offset
  std::uint64_t records_failed = 0;
  std::uint64_t batches_sent = 0;  ///< requests, repeats included
  std::uint64_t retries = 0;       ///< requests that were repeats
  std::size_t buffered_bytes = 0;  ///< now
  /// Why the broker takes nothing now, while records wait for it; empty once it takes some.
  std::optional<Failure> obstacle;
};

/// Thread safe. A cheap handle: copies are the same producer.
///
/// Order: records of one partition are stored in the order of their send() calls. Repeats after a
/// lost answer carry the same producer sequence (or dedup key), so the broker recognises them.
///
/// A record either gets an offset or a Failure. Action::maybe_persisted means that an attempt's
/// answer never came: send it again only with a dedup key. A record of which every attempt was
/// refused up to the delivery time-out ends with the last reason, such as Errc::low_space. Records
/// with a dedup key are stored in batches of their own, one in flight a partition.
///
/// Destroying the last handle does not wait: what was not answered ends in Errc::cancelled. Call
/// close() or flush() first.
class RUNNEL_API Producer {
 public:
  /// Buffers `message`. Waits for room up to ProducerOptions::send_timeout (Errc::overloaded), but
  /// not inside a callback, where it behaves as try_send.
  Pending<Delivery> send(const Message& message);
  /// The cheapest form: no shared state is made for the record.
  void send(const Message& message, Callback<Delivery> done);
  /// Never waits: Errc::overloaded if the buffer is full.
  Pending<Delivery> try_send(const Message& message);
  void try_send(const Message& message, Callback<Delivery> done);

  /// Sends what is buffered now, whatever `linger` says, and waits until all of it has an outcome.
  /// Errc::timeout if that takes longer than `at_most`. Each record's own outcome tells if it was
  /// stored; flush() succeeds even if some failed.
  Outcome<void> flush(std::chrono::milliseconds at_most = std::chrono::minutes(2));
  /// flush() without waiting.
  Pending<void> flush_async();
  /// Takes no more records, flushes, then ends what is left with Errc::cancelled.
  Outcome<void> close(std::chrono::milliseconds at_most = std::chrono::seconds(30));

  [[nodiscard]] ProducerStats stats() const;

  struct Impl;
  explicit Producer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace runnel
