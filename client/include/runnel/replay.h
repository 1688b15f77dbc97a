// A range of the log once more: filtered by the broker, at a set rate, kept by name, and into a
// topic exactly once. Live consumers and their offsets notice nothing.
//
//   auto replay = runnel::Replay::open(*client, {.ranges = {{{"orders", 0}, 0, 1000}},
//                                                .filter = {".amount>=100"},
//                                                .name = "backfill",
//                                                .into = runnel::ReplayTarget{"large-orders"}});
//   auto done = replay->run();
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runnel/types.h"

namespace runnel {

class Client;

/// Offsets of a partition from `from` up to, not including, `to`.
struct ReplayRange {
  TopicPartition source;
  std::int64_t from = 0;
  std::int64_t to = 0;
};

/// A topic that records are written to, marked with the headers runnel.replay (`mark`) and
/// runnel.replay.origin (TOPIC/PARTITION/OFFSET), so that consumers can leave out side effects.
struct ReplayTarget {
  std::string topic;
  bool by_key = false;  ///< keys choose the partitions; else a record keeps its partition's number
  std::string mark;     ///< empty: the replay's name or, without one, the time it began
};

struct ReplayProgress {
  std::uint64_t total = 0;       ///< offsets that were left when the replay was opened
  std::uint64_t passed = 0;      ///< of them, those that are done, left out or gone
  std::uint64_t records = 0;     ///< that were replayed
  std::uint64_t unreadable = 0;  ///< records that the filter can't judge: left out
  bool complete = false;
};

struct ReplayOptions {
  std::vector<ReplayRange> ranges;  ///< a partition at most once
  std::vector<std::string> filter;  ///< as ConsumerOptions::filter
  /// Keeps how far it has come, as the offsets of the group runnel-replay.NAME. A replay of the
  /// same name goes on there, whatever `ranges` says then, and ends one that still runs
  /// (Errc::fenced). Empty: nothing is kept. It is forgotten as any group's offsets are, some days
  /// after the last run (offsets-retention): then the same replay begins anew.
  std::string name;
  /// What must be the same when a replay of this name goes on (Errc::invalid_argument).
  std::string plan;
  double records_per_second = 0;  ///< 0: no bound
  double bytes_per_second = 0;    ///< of keys and values; 0: no bound
  std::optional<ReplayTarget> into;
  /// Asked several times a second, on the thread of run(): the first false ends that run where it
  /// is.
  std::function<bool()> go_on;
  /// Told as often, on the same thread.
  std::function<void(const ReplayProgress&)> on_progress;
};

/// Not thread safe. Its functions wait for the broker, so they are not for callbacks. Once a write
/// has failed every run() gives that failure, for nobody here knows whether it happened: a replay
/// with a name that is opened again goes on behind what did. left() is without that write.
class RUNNEL_API Replay {
 public:
  /// When receivers are taken to be done with a record.
  enum class Commit : std::uint8_t {
    every_second,  ///< what was received is kept about every second, and at the end
    every_record,  ///< the receiver gets one record at a time, and each is kept when it returns
  };
  /// Receives records of one partition, in order. They live until it returns.
  using Receiver = std::function<Outcome<void>(std::span<const Record>)>;

  /// Begins, or goes on with a replay of this name. Errors: invalid_argument (another plan, a
  /// target that is a source or has too few partitions), unknown_topic.
  [[nodiscard]] static Outcome<Replay> open(Client client, ReplayOptions options);
  ~Replay();
  Replay(Replay&&) noexcept;
  Replay& operator=(Replay&&) noexcept;

  /// Replays into ReplayOptions::into until it is complete or told to end. With a name each record
  /// is there exactly once, however often this was cut off: records and position are one write.
  Outcome<void> run();
  /// Replays to `receive`, at least once. A failure of its own ends the replay before what it got.
  Outcome<void> run(const Receiver& receive, Commit commit = Commit::every_second);

  /// What is left.
  [[nodiscard]] std::vector<ReplayRange> left() const;
  [[nodiscard]] ReplayProgress progress() const;
  /// It went on where an earlier one was.
  [[nodiscard]] bool resumed() const;

  struct Impl;
  explicit Replay(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace runnel
