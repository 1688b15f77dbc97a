// The messages of materialised views; part of messages.h.
//
// Rows travel in the attachment as cells, one after the other, each row as many as there are
// columns. A cell is
//
//   length  uvarint   0: NULL; else 1 + the text's bytes
//   text              "true", "12.30", "2026-01-31T10:00:00Z", ... ; JSON as it was written
//
// A row of a ViewDelivery is: change u8 (RowChange), key length uvarint, key, then the cells. The
// key stands for the group, its bytes are nobody's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.h"
#include "protocol/base/strong.h"

namespace runnel::protocol::native {

inline constexpr std::uint32_t kViewTimeoutMs = 30'000;

/// Records of the partition before `next` are meant.
struct ViewPosition {
  std::string topic;
  PartitionIndex partition;
  Offset next;
  friend auto operator<=>(const ViewPosition&, const ViewPosition&) = default;
};

/// Statements; answered with SqlReply. Nothing is read before the views of the positions' topics
/// have the records that `wait` names.
struct Sql {
  std::string text;
  std::vector<ViewPosition> wait = {};
  std::uint32_t timeout_ms = kViewTimeoutMs;
  std::uint32_t max_rows = 1'000'000;
  bool read_only = false;  ///< refuse statements that change something
  friend bool operator==(const Sql&, const Sql&) = default;
};
/// One group of a view by its whole key: the group columns' values, in GROUP BY order. Answered
/// with SqlReply: one answer of one row, or of none.
struct ViewGet {
  std::string view;
  std::vector<std::optional<std::string>> key;  ///< as cells have it; nullopt: NULL
  std::vector<ViewPosition> wait = {};
  std::uint32_t timeout_ms = kViewTimeoutMs;
  friend bool operator==(const ViewGet&, const ViewGet&) = default;
};
struct AnswerColumn {
  enum class Role : std::uint8_t { kPlain = 0, kDimension = 1, kMeasure = 2 };
  std::string name;
  std::string type;  ///< as SQL writes it: "DECIMAL(12,2)"
  Role role = Role::kPlain;
  friend bool operator==(const AnswerColumn&, const AnswerColumn&) = default;
};
struct SqlAnswer {
  std::string tag;  ///< what was done
  std::vector<AnswerColumn> columns;
  std::uint32_t rows = 0;
  std::vector<std::string> notices;
  std::vector<ViewPosition> positions;  ///< of what was read
  std::uint16_t generation = 0;
  std::uint64_t sequence = 0;  ///< of the view that was read; unchanged: so is the answer
  std::uint32_t bytes = 0;     ///< of the attachment, in order: the rows' cells
  friend bool operator==(const SqlAnswer&, const SqlAnswer&) = default;
};
struct SqlReply {
  std::vector<SqlAnswer> answers;  ///< one a statement
  friend bool operator==(const SqlReply&, const SqlReply&) = default;
};

/// Answered with Done when the view, or all running views of these partitions, have the records.
struct WaitApplied {
  std::string view;  ///< empty: all that read the partitions
  std::vector<ViewPosition> positions;
  std::uint32_t timeout_ms = kViewTimeoutMs;
  friend bool operator==(const WaitApplied&, const WaitApplied&) = default;
};

/// Answered with SubscribeReply; then ViewDelivery frames come under its correlation id. Credit and
/// Unsubscribe are those of any subscription.
struct SubscribeView {
  enum class Mode : std::uint8_t { kLatest = 0, kChanges = 1 };
  std::string statement;  ///< SUBSCRIBE TO ..., or empty
  std::string view;       ///< without a statement
  std::string filter;     ///< a condition over the view's columns; may be empty
  Mode mode = Mode::kLatest;
  bool snapshot = true;   ///< begin with the rows as they are; else with what changes from now on
  bool progress = false;  ///< tell positions also where no row changed
  /// Go on behind a delivery that was received before. Instead of a snapshot; kReset comes, and
  /// then one, where that is not possible any more.
  struct After {
    std::uint16_t generation = 0;
    std::uint64_t sequence = 0;
    friend bool operator==(const After&, const After&) = default;
  };
  std::optional<After> after = std::nullopt;
  std::uint64_t credit_bytes = 1u << 20;  ///< as of Subscribe
  friend bool operator==(const SubscribeView&, const SubscribeView&) = default;
};
/// On the wire: never renumbered.
enum class RowChange : std::uint8_t {
  kDelete = 0,   ///< the group has no row (any more): cells of dimensions only
  kReplace = 1,  ///< the group's row; whatever it had before is gone
  kAdd = 2,      ///< one more row of the group before it: a view of sessions
};
struct ViewDelivery {
  enum class Kind : std::uint8_t { kSnapshot = 0, kDelta = 1, kReset = 2, kProgress = 3 };
  std::uint64_t subscription = 0;
  Kind kind = Kind::kSnapshot;
  std::uint16_t generation = 0;
  /// Where to go on, as SubscribeView::After.
  std::uint64_t sequence = 0;
  /// The rest follows: only with the delivery that says false is what was sent the view's rows at
  /// `sequence`.
  bool more = false;
  std::vector<AnswerColumn> columns;  ///< with the first delivery and after kReset
  std::uint32_t rows = 0;
  std::uint32_t bytes = 0;              ///< the attachment
  std::vector<ViewPosition> positions;  ///< how far the view has read; empty while `more`
  friend bool operator==(const ViewDelivery&, const ViewDelivery&) = default;
};

struct ListViews {
  friend bool operator==(const ListViews&, const ListViews&) = default;
};

// ---- cells
inline void append_null_cell(std::string& out) {
  out.push_back('\0');
}
inline void append_cell(std::string_view text, std::string& out) {
  ByteWriter length;
  length.uvarint(text.size() + 1);
  out.append(length.str()).append(text);
}
/// The next cell: its text, nullopt where it is NULL. The reader fails where there is none; the
/// text is a view of what it reads.
[[nodiscard]] inline std::optional<std::string_view> read_cell(ByteReader& in) {
  const std::uint64_t length = in.uvarint();
  if (!in.ok() || length == 0) return std::nullopt;
  const Bytes text = in.take(static_cast<std::size_t>(length - 1));
  if (!in.ok()) return std::nullopt;
  return as_text(text);
}

}  // namespace runnel::protocol::native
