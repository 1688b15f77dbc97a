// What clients were told about a topic's records, and whether the log keeps to it.
#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runnel {

/// A record's unique value: who wrote it and as the how-manieth, from 1.
struct WrittenValue {
  std::uint32_t producer = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const WrittenValue&, const WrittenValue&) = default;

  /// "3:17:xxxx", padded by `padding` bytes.
  [[nodiscard]] std::string text(std::size_t padding) const {
    return std::to_string(producer) + ":" + std::to_string(number) + ":" +
           std::string(padding, 'x');
  }
  static std::optional<WrittenValue> parse(std::string_view text) {
    WrittenValue v;
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, v.producer);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return std::nullopt;
    const auto second = std::from_chars(first.ptr + 1, end, v.number);
    if (second.ec != std::errc() || second.ptr == end || *second.ptr != ':') return std::nullopt;
    const std::string_view rest(second.ptr + 1, static_cast<std::size_t>(end - second.ptr - 1));
    if (rest.find_first_not_of('x') != std::string_view::npos) return std::nullopt;
    return v;
  }
};

/// Thread safe. Every contradiction is kept as a sentence.
class History {
 public:
  explicit History(std::size_t partitions) : known_(partitions) {}

  /// A client was told, by an acknowledgement or by a read, that `value` is at `offset`.
  void told(std::size_t partition, std::int64_t offset, WrittenValue value, bool acknowledged) {
    std::lock_guard lock(mutex_);
    if (acknowledged) ++acknowledged_;
    auto& slots = known_[partition];
    const auto at = static_cast<std::size_t>(offset);
    if (slots.size() <= at) slots.resize(at + 1);
    if (slots[at].number == 0) {
      slots[at] = value;
    } else if (slots[at] != value) {
      contradict("partition " + std::to_string(partition) + " offset " + std::to_string(offset) +
                 ": once " + slots[at].text(0) + ", now " + value.text(0));
    }
  }
  void contradict_with(std::string sentence) {
    std::lock_guard lock(mutex_);
    contradict(std::move(sentence));
  }
  [[nodiscard]] std::uint64_t acknowledged() const {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  /// One behind the greatest offset that anybody was told of, of each partition.
  [[nodiscard]] std::vector<std::int64_t> ends() const {
    std::lock_guard lock(mutex_);
    std::vector<std::int64_t> ends;
    for (const auto& slots : known_) ends.push_back(static_cast<std::int64_t>(slots.size()));
    return ends;
  }
  [[nodiscard]] std::vector<std::string> contradictions() const {
    std::lock_guard lock(mutex_);
    return contradictions_;
  }

 private:
  void contradict(std::string sentence) {
    constexpr std::size_t kEnough = 20;
    if (contradictions_.size() < kEnough) contradictions_.push_back(std::move(sentence));
  }

  mutable std::mutex mutex_;
  std::vector<std::vector<WrittenValue>> known_;  // number 0: nothing known
  std::vector<std::string> contradictions_;
  std::uint64_t acknowledged_ = 0;
};

/// Follows one reader of the whole log: no gap, no value twice, each producer's order kept.
/// One thread.
class LogReader {
 public:
  LogReader(History& history, std::size_t partitions, std::string name)
      : history_(history), name_(std::move(name)), next_(partitions), last_(partitions) {}

  void saw(std::size_t partition, std::int64_t offset, std::string_view text) {
    const auto complain = [&](const std::string& what) {
      history_.contradict_with(name_ + ", partition " + std::to_string(partition) + " offset " +
                               std::to_string(offset) + ": " + what);
    };
    if (offset != next_[partition]) complain("expected " + std::to_string(next_[partition]));
    next_[partition] = offset + 1;
    ++records_;
    const auto value = WrittenValue::parse(text);
    if (!value) {
      complain("a value that nobody wrote: " + std::string(text.substr(0, 40)));
      return;
    }
    // Numbers that only grow are also numbers that come once: a value is sent to one partition.
    auto& last = last_[partition][value->producer];
    if (value->number <= last) {
      complain(value->text(0) + " after number " + std::to_string(last) + " of the same producer");
    }
    last = value->number;
    history_.told(partition, offset, *value, false);
  }
  [[nodiscard]] std::int64_t next(std::size_t partition) const { return next_[partition]; }
  [[nodiscard]] std::uint64_t records() const { return records_; }

 private:
  History& history_;
  std::string name_;
  std::vector<std::int64_t> next_;
  std::vector<std::map<std::uint32_t, std::uint64_t>> last_;  // producer -> number
  std::uint64_t records_ = 0;
};

}  // namespace runnel
