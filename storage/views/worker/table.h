// A table that facts are joined with: each row as it was at any time.
//
// A row holds from its record's timestamp on (or from that of an earlier record of the same key, if
// that one's is later), until the key's next record. Before the first row of a key that very row
// holds: events from before its time, and those whose row compaction has thinned out, find the
// oldest that is left. Of rows with the same time that with the greater (partition, offset) holds.
// So what a fact finds depends on the fact and on what the table's topic has, not on when it is
// read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/views/plan/plan.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

/// Not thread safe.
class Table {
 public:
  struct Place {
    std::int64_t time = 0;  ///< microseconds; kNoTime: before all others
    std::uint32_t partition = 0;
    std::int64_t offset = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  /// `plan` must outlive it.
  explicit Table(const SourcePlan& plan) : plan_(plan) {}

  /// A record, in its partition's order. `record_key`: nullopt: it has none, and stands for itself.
  /// `row`: the columns as declared; empty: what the record's key had is gone. False: the row has
  /// no whole primary key, and nothing was done.
  bool apply(std::optional<std::string_view> record_key, std::span<const Value> row, Place place);
  /// The columns of the row with this primary key (as encode_key() makes it of each of its columns)
  /// at `time`; empty: there is none. Valid until the next apply().
  [[nodiscard]] std::span<const Value> find(std::string_view key, std::int64_t time) const;

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Version {
    Place place;
    std::vector<Value> row;  ///< empty: gone
    std::unique_ptr<char[]> texts;
  };
  using Versions = std::vector<Version>;  ///< by place
  struct Known {
    std::string key;        ///< of the row that the record's key had last
    std::int64_t time = 0;  ///< from which it holds
  };

  void put(const std::string& key, std::span<const Value> row, Place place);

  const SourcePlan& plan_;
  std::unordered_map<std::string, Versions> rows_;
  std::unordered_map<std::string, Known> records_;  ///< by partition and record key
  std::size_t bytes_ = 0;
};

}  // namespace runnel::storage::views
