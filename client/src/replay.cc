#include "runnel/replay.h"

#include <algorithm>
#include <thread>

#include "client/src/pace.h"
#include "client/src/replay_session.h"
#include "client/src/replay_writer.h"

namespace runnel {
namespace {

using client::Pace;
using client::ReplaySession;
using client::ReplayWriter;

constexpr std::chrono::milliseconds kPollWait{200};
constexpr std::chrono::milliseconds kNap{100};
constexpr std::chrono::seconds kCommitEvery{1};
constexpr std::size_t kPollRecords = 50'000;

std::uint64_t payload_bytes(std::span<const Record> records) {
  std::uint64_t bytes = 0;
  for (const Record& record : records) {
    bytes += record.key.value_or("").size() + record.value.value_or("").size();
  }
  return bytes;
}

/// The records at the front that come from one partition.
std::span<const Record> run_of(std::span<const Record> records) {
  const Record& first = records.front();
  const auto other = std::find_if(records.begin(), records.end(), [&](const Record& r) {
    return r.partition != first.partition || r.topic != first.topic;
  });
  return records.first(static_cast<std::size_t>(other - records.begin()));
}

/// Those of one partition, in order, that lie in the range.
std::span<const Record> within(std::span<const Record> records, const ReplayRange& range) {
  const auto before = [](const Record& record, std::int64_t offset) {
    return record.offset < offset;
  };
  const auto begin = std::lower_bound(records.begin(), records.end(), range.from, before);
  const auto end = std::lower_bound(begin, records.end(), range.to, before);
  return {begin, end};
}

}  // namespace

struct Replay::Impl {
  Impl(Client c, ReplayOptions o)
      : client(std::move(c)),
        options(std::move(o)),
        session(client, options.name, options.plan),
        records_pace(options.records_per_second),
        bytes_pace(options.bytes_per_second) {}

  /// Once it was told to end, this run ends: what it got and did not hand on is not passed.
  [[nodiscard]] bool goes_on() {
    if (!told_to_end && options.go_on) told_to_end = !options.go_on();
    return !told_to_end;
  }
  [[nodiscard]] bool complete() const {
    return std::all_of(session.left().begin(), session.left().end(),
                       [](const auto& entry) { return entry.second.from >= entry.second.to; });
  }
  void tell() const {
    if (options.on_progress) options.on_progress(progress());
  }
  [[nodiscard]] ReplayProgress progress() const {
    std::uint64_t left = 0;
    for (const auto& [target, range] : session.left()) {
      left += static_cast<std::uint64_t>(std::max(range.from, range.to) - range.from);
    }
    return {session.total(), session.total() - left, records, unreadable, complete()};
  }

  /// `take` hands on records of one partition and sees to it that the session passes them.
  Outcome<void> run(const Receiver& take, std::size_t at_once);
  Outcome<void> replay(const Batch& batch, const Receiver& take, std::size_t at_once);
  Outcome<void> hand_on(std::span<const Record> run, const Receiver& take, std::size_t at_once);
  void pass_gaps(const Consumer& consumer);
  Outcome<void> keep_now_and_then();
  void wait(std::chrono::nanoseconds time);
  /// So many that a low rate is even.
  [[nodiscard]] std::size_t slice_of(std::span<const Record> run, std::size_t at_once) const;

  Client client;
  const ReplayOptions options;
  ReplaySession session;
  std::optional<ReplayWriter> writer;
  Pace records_pace;
  Pace bytes_pace;
  std::uint64_t records = 0;
  std::uint64_t unreadable = 0;
  bool told_to_end = false;
  std::chrono::steady_clock::time_point kept_at = std::chrono::steady_clock::now();
};

Outcome<void> Replay::Impl::run(const Receiver& take, std::size_t at_once) {
  if (session.failure()) return *session.failure();
  told_to_end = false;
  std::vector<std::pair<TopicPartition, Position>> assignment;
  for (const auto& [target, range] : session.left()) {
    if (range.from < range.to) assignment.emplace_back(target, Position::at(range.from));
  }
  if (assignment.empty()) return {};
  ConsumerOptions reading;
  reading.reset = Reset::fail;
  reading.max_records = kPollRecords;
  reading.filter = options.filter;
  Consumer consumer = client.consumer(std::move(reading));
  if (auto assigned = consumer.assign(std::move(assignment)).get(); !assigned) return assigned;
  while (!complete() && goes_on()) {
    const auto batch = consumer.poll(kPollWait).get();
    if (!batch) return batch.error();
    unreadable += batch->unreadable();
    if (auto replayed = replay(*batch, take, at_once); !replayed) return replayed;
    if (goes_on()) pass_gaps(consumer);
    tell();
    if (auto kept = keep_now_and_then(); !kept) return kept;
  }
  return {};
}

Outcome<void> Replay::Impl::replay(const Batch& batch, const Receiver& take, std::size_t at_once) {
  for (auto rest = batch.records(); !rest.empty();) {
    const auto run = run_of(rest);
    rest = rest.subspan(run.size());
    const auto range = session.left().find({std::string(run.front().topic), run.front().partition});
    if (range == session.left().end()) continue;
    if (auto done = hand_on(within(run, range->second), take, at_once); !done) return done;
  }
  return {};
}

std::size_t Replay::Impl::slice_of(std::span<const Record> run, std::size_t at_once) const {
  auto slice = static_cast<double>(std::min(run.size(), at_once));
  if (records_pace.per_second() > 0) slice = std::min(slice, records_pace.per_second() / 10);
  if (bytes_pace.per_second() > 0) {
    const double each = static_cast<double>(std::max<std::uint64_t>(payload_bytes(run), 1)) /
                        static_cast<double>(run.size());
    slice = std::min(slice, bytes_pace.per_second() / 10 / each);
  }
  return std::max<std::size_t>(1, static_cast<std::size_t>(slice));
}

Outcome<void> Replay::Impl::hand_on(std::span<const Record> run, const Receiver& take,
                                    std::size_t at_once) {
  if (run.empty()) return {};
  const std::size_t slice = slice_of(run, at_once);
  for (std::size_t at = 0; at < run.size() && goes_on(); at += slice) {
    const auto part = run.subspan(at, std::min(slice, run.size() - at));
    if (auto taken = take(part); !taken) return taken;
    records += part.size();
    const auto now = std::chrono::steady_clock::now();
    const auto for_records = records_pace.spend(static_cast<double>(part.size()), now);
    const bool counts_bytes = bytes_pace.per_second() > 0;
    const double bytes = counts_bytes ? static_cast<double>(payload_bytes(part)) : 0;
    wait(std::max(for_records, bytes_pace.spend(bytes, now)));
  }
  return {};
}

void Replay::Impl::wait(std::chrono::nanoseconds time) {
  for (; time.count() > 0 && goes_on(); time -= kNap) {
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(time, kNap));
  }
}

/// What the filter left out, and where offsets have gaps: passed, though no record says so.
void Replay::Impl::pass_gaps(const Consumer& consumer) {
  std::vector<std::pair<TopicPartition, std::int64_t>> passed;
  for (const auto& [target, range] : session.left()) {
    const std::int64_t next = std::min(consumer.position(target), range.to);
    if (next > range.from) passed.emplace_back(target, next);
  }
  for (const auto& [target, next] : passed) session.pass(target, next);
}

Outcome<void> Replay::Impl::keep_now_and_then() {
  const auto now = std::chrono::steady_clock::now();
  if (now - kept_at < kCommitEvery || !session.behind()) return {};
  kept_at = now;
  return session.commit();
}

Outcome<Replay> Replay::open(Client client, ReplayOptions options) {
  auto impl = std::make_unique<Impl>(std::move(client), std::move(options));
  if (impl->options.into) {
    auto writer = ReplayWriter::open(impl->client, impl->options);
    if (!writer) return writer.error();
    impl->writer.emplace(*std::move(writer));
  }
  if (auto opened = impl->session.open(impl->options.ranges); !opened) return opened.error();
  return Replay(std::move(impl));
}

Replay::Replay(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replay::~Replay() = default;
Replay::Replay(Replay&&) noexcept = default;
Replay& Replay::operator=(Replay&&) noexcept = default;

Outcome<void> Replay::run() {
  if (!impl_->writer) {
    return Failure(Errc::invalid_argument, "the replay has no target; set ReplayOptions::into");
  }
  const auto write = [this](std::span<const Record> records) {
    return impl_->writer->write(records, impl_->session);
  };
  auto done = impl_->run(write, kPollRecords);
  if (!done || !impl_->session.behind()) return done;
  return impl_->session.commit();
}

Outcome<void> Replay::run(const Receiver& receive, Commit commit) {
  const bool each = commit == Commit::every_record;
  const auto take = [&](std::span<const Record> records) -> Outcome<void> {
    if (auto received = receive(records); !received) return received;
    const Record& last = records.back();
    impl_->session.pass({std::string(last.topic), last.partition}, last.offset + 1);
    return each && impl_->session.behind() ? impl_->session.commit() : Outcome<void>();
  };
  auto done = impl_->run(take, each ? 1 : kPollRecords);
  if (!impl_->session.behind()) return done;
  auto kept = impl_->session.commit();
  return done ? std::move(kept) : std::move(done);
}

std::vector<ReplayRange> Replay::left() const {
  std::vector<ReplayRange> out;
  for (const auto& [target, range] : impl_->session.left()) out.push_back(range);
  return out;
}

ReplayProgress Replay::progress() const {
  return impl_->progress();
}

bool Replay::resumed() const {
  return impl_->session.resumed();
}

}  // namespace runnel
