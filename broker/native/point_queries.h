// Point queries: those of a connection that have come by the time one is begun are answered
// together, from one snapshot, with one lookup for neighbours and as one piece of bytes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/sessions/memory_gate.h"
#include "protocol/native/group_replies.h"
#include "protocol/native/messages.h"
#include "storage/views/query/group_finder.h"

namespace runnel::broker {

struct PointQuery {
  std::uint64_t correlation = 0;
  protocol::native::ViewGet request;
  std::chrono::steady_clock::time_point deadline;
  MemoryLease lease = {};
};

/// Frames of answers, one behind the other, of the first so many of the queries.
struct PointAnswers {
  Buffer frames;
  std::size_t answered = 0;      ///< at least one; what does not fit comes with the next piece
  std::size_t failures = 0;      ///< of these
  std::uint64_t cell_bytes = 0;  ///< of the frames
};

/// Answers from one snapshot. What it learns of the views is of use as long as that is the newest.
/// Not thread safe.
class PointAnswerer {
 public:
  /// Outlives it, and is what it was whenever it is used.
  explicit PointAnswerer(const storage::views::ReadSnapshot& snapshot) : snapshot_(snapshot) {}
  PointAnswerer(const PointAnswerer&) = delete;
  PointAnswerer& operator=(const PointAnswerer&) = delete;

  /// At least one query. `cancelled`: as QueryLimits::cancelled.
  [[nodiscard]] PointAnswers answer(std::span<const PointQuery> queries,
                                    const std::shared_ptr<const std::atomic<bool>>& cancelled);

 private:
  struct View {
    storage::views::DefinitionRef definition;
    std::unique_ptr<storage::views::GroupFinder> finder;
    /// Of a view whose groups have entries of their own.
    std::optional<protocol::native::GroupReplies> replies;
  };
  /// What was looked up of a group.
  struct Group {
    std::uint32_t rows = 0;
    bool bounded = false;
    std::size_t at = 0;  ///< in cells_
    std::size_t size = 0;
    std::optional<Error> error = std::nullopt;
  };
  /// One of the queries that are looked up together.
  struct Item {
    View* view = nullptr;
    std::string key;  ///< encoded
    std::optional<Error> error;
    std::size_t group = 0;  ///< in groups_
  };

  [[nodiscard]] Result<View*> view_of(const std::string& name);
  [[nodiscard]] Status read_key(const PointQuery& query, const View& view);
  [[nodiscard]] Status prepare(const PointQuery& query, Item& item);
  void look_up(std::span<const PointQuery> queries);
  /// Items of one view: from `begin`, in order; where they end.
  [[nodiscard]] std::size_t look_up_from(std::size_t begin);
  void append(const PointQuery& query, const Item& item, PointAnswers& out);
  [[nodiscard]] Status append_alone(const PointQuery& query, View& view, PointAnswers& out);
  void append_failure(std::uint64_t correlation, const Error& error, PointAnswers& out);

  const storage::views::ReadSnapshot& snapshot_;
  std::shared_ptr<const std::atomic<bool>> cancelled_;
  std::map<std::string, View, std::less<>> views_;
  storage::views::Arena arena_;
  std::vector<storage::views::Value> values_;  ///< of the key at hand
  std::vector<Item> items_;
  std::vector<std::size_t> order_;  ///< of the items that are looked up: by view and key
  std::vector<std::string_view> keys_;
  std::vector<Group> groups_;
  std::string cells_;
  std::string frames_;
};

}  // namespace runnel::broker
