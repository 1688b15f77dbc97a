// What a webhook that goes out has still to deliver, and what is to be done next: at least once,
// the records of one key one after the other, with retries. No I/O, no clock, no lock.
//
// Records are added in their partition's order, at most so many ahead of the first that is not
// done. A record whose key has an earlier one waiting waits, too, however often that one fails;
// records without a key wait for nobody. Keys are known by a hash: two with the same one wait for
// each other, which costs time and nothing else. One that failed as often as it may is to be buried
// (put to the dead letters) before its key goes on.
//
// What a restart needs of a partition is its Progress: one entry of the store's state map,
// "webhook-place/NAME/PARTITION", little-endian; `uv` is an unsigned varint:
//
//   format u8 = 1, partition id u32, next i64 (every record before it is done), lost u64, done uv
//   count and for each the distance uv from the one before (the first: from next), failed uv count
//   and for each the distance uv likewise and the attempts uv
// docs/formats/webhooks.md has a worked example.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "protocol/base/strong.h"
#include "storage/env/random.h"

namespace runnel::broker::hooks {

struct RecordPlace {
  std::int32_t partition = 0;
  Offset offset;
  friend auto operator<=>(const RecordPlace&, const RecordPlace&) = default;
};

/// The n-th retry follows after first * 2^(n-1), `most` at most; of that between a half and all.
struct RetryPolicy {
  std::uint32_t max_attempts = 12;  ///< the first one counts
  std::chrono::milliseconds first{1000};
  std::chrono::milliseconds most{3'600'000};
};

struct Progress {
  PartitionId partition;   ///< a topic that was made anew has others
  Offset next{0};          ///< every record before it is done
  std::uint64_t lost = 0;  ///< records that the log no longer had when their turn came
  std::set<Offset> done;   ///< behind `next`
  std::map<Offset, std::uint32_t> failed;  ///< attempts so far of those that are not done
  friend bool operator==(const Progress&, const Progress&) = default;

  [[nodiscard]] std::string encode() const;
  /// kCorrupt, kFormatTooNew.
  [[nodiscard]] static Result<Progress> decode(std::string_view value);
};

/// Not thread safe.
class Deliveries {
 public:
  struct Limits {
    std::size_t ahead = 512;       ///< records of one partition from its first that is not done
    std::size_t bytes = 4u << 20;  ///< as bytes() counts; one record may be more
    std::size_t in_flight = 8;     ///< requests at a time
  };
  /// What is kept of a record besides its body, however long its key is: its entries in the maps
  /// below. And of one that is done, or has failed and is not read yet.
  static constexpr std::size_t kRecordBytes = 400;
  static constexpr std::size_t kPlaceBytes = 64;
  using Time = std::chrono::nanoseconds;  ///< of the monotonic clock

  Deliveries(RetryPolicy policy, Limits limits, storage::Random& random)
      : policy_(policy), limits_(limits), random_(random), seed_(random.next()) {}

  /// Begins (again) in a partition. What was waiting there is forgotten, and what is on its way
  /// does not count any more.
  void begin(std::int32_t partition, Progress progress);
  [[nodiscard]] Progress progress(std::int32_t partition) const;
  /// The same as it will be when this record is done.
  [[nodiscard]] Progress progress_without(RecordPlace place) const;
  // Of progress(), without making all of it.
  [[nodiscard]] Offset done_to(std::int32_t partition) const {
    return partitions_.at(partition).known.next;
  }
  [[nodiscard]] std::uint64_t lost(std::int32_t partition) const {
    return partitions_.at(partition).known.lost;
  }
  /// Records of the partition may be added.
  [[nodiscard]] bool has_room(std::int32_t partition) const;
  /// The offset that is to be read next.
  [[nodiscard]] Offset read_from(std::int32_t partition) const;
  /// Behind all that was added of the partition. One that is done is passed over.
  void add(RecordPlace place, std::optional<std::string_view> key, std::string body, Time now);
  /// The partition was read up to `next`: what was not added is not to be delivered.
  void read_to(std::int32_t partition, Offset next);
  /// The log has nothing before `start` any more, and that was not delivered.
  void lose_before(std::int32_t partition, Offset start);

  struct Sending {
    RecordPlace place;
    std::uint64_t ticket = 0;  ///< names this attempt
    std::uint32_t attempt = 1;
    const std::string* body = nullptr;  ///< until the next call
  };
  /// The next request to be made now, which is in flight from then on.
  [[nodiscard]] std::optional<Sending> next(Time now);
  /// When next() may have something, if nothing else happens. nullopt: not without news.
  [[nodiscard]] std::optional<Time> next_due() const;

  // Outcomes. Of attempts that are not known (any more) they mean nothing.
  void delivered(RecordPlace place, std::uint64_t ticket);
  /// True: it is to be buried, then buried() to be called. `wait`: what the receiver asked for.
  [[nodiscard]] bool failed(RecordPlace place, std::uint64_t ticket, Time now,
                            std::chrono::milliseconds wait = {});
  void buried(RecordPlace place);
  /// Nothing was sent: it is due again at `due`, and this was no attempt.
  void postponed(RecordPlace place, std::uint64_t ticket, Time due);

  /// Bytes of all that is kept: bodies, those on their way twice, and the order of the records.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// Records of the partition that may be added.
  [[nodiscard]] std::size_t room(std::int32_t partition) const;
  /// Bytes that may be added: at least 1.
  [[nodiscard]] std::size_t room_bytes() const noexcept {
    return bytes_ < limits_.bytes ? limits_.bytes - bytes_ : 1;
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return records_.size(); }
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  struct KeyHash {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend auto operator<=>(const KeyHash&, const KeyHash&) = default;
  };
  struct Record {
    std::optional<KeyHash> key;
    std::string body;
    std::uint32_t attempts = 0;  ///< that failed
    Time due{0};
    std::uint64_t ticket = 0;  ///< of the attempt that is on its way; 0: none is
  };
  struct Partition {
    Progress known;  ///< `next`, and `failed` of records that were not read yet
    Offset read;
  };
  using Records = std::map<RecordPlace, Record>;

  [[nodiscard]] Offset first_undone(std::int32_t partition) const;
  [[nodiscard]] Time delay_of(std::uint32_t attempts);
  [[nodiscard]] Records::iterator find_attempt(RecordPlace place, std::uint64_t ticket);
  [[nodiscard]] KeyHash hash_of(std::string_view key) const;
  void land(Record& record);
  void finish(Records::iterator record);
  void settle(std::int32_t partition);

  const RetryPolicy policy_;
  const Limits limits_;
  storage::Random& random_;
  const std::uint64_t seed_;  ///< of hashes, so that nobody chooses keys that have the same
  std::map<std::int32_t, Partition> partitions_;
  Records records_;  ///< all that are not done
  /// Of each key that has some, in order: only the first may be sent.
  std::map<KeyHash, std::list<RecordPlace>> keys_;
  std::set<std::pair<Time, RecordPlace>> due_;  ///< that may be sent
  std::size_t bytes_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace runnel::broker::hooks
