// WITH (changelog_topic = '...'): every change of a view's rows is a record of a topic. The key is
// the row's group columns as JSON, the value the row as JSON, or nothing when the row is gone.
//
// A change is the difference between the rows before and after one write of the view's state, and
// is in the topic before that write is: the topic is never behind the state. How far it is stands
// in the same commit (changelog_place.h). After a crash the state may be behind the topic; then it
// is folded up to exactly where the topic is, in silence, and it is told on from there. Because
// the same records give the same state, each change is in the topic once, whatever crashes when.
//
// A change that is too large for one commit takes several; the place says which groups were told.
// After a crash the state is folded to exactly the same point once more, and the rest is told.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocol/record_batch/record_batch.h"
#include "storage/views/engine/view_reader.h"
#include "storage/views/engine/written_state.h"
#include "storage/views/query/answer.h"
#include "storage/views/service/changelog_place.h"
#include "storage/views/worker/topic_views.h"

namespace runnel::storage::views {

/// Makes the topic of a view that reads a topic of `partitions` partitions, if it is not there.
[[nodiscard]] Status ensure_changelog_topic(Store& store, const std::string& topic,
                                            std::size_t partitions);

/// One thread at a time.
class Changelog final : public ViewOutput {
 public:
  /// Of a plan with a changelog topic, which outlives it as `store` and `clock` do. Errors:
  /// kUnknownTopic: there is no such topic; kCorrupt: its place is damaged.
  [[nodiscard]] static Result<std::unique_ptr<Changelog>> open(Store& store, Clock& clock,
                                                               const ViewPlan& plan, ViewId id);

  [[nodiscard]] Status begin(const SourceOffsets& state) override;
  [[nodiscard]] Offset limit(std::uint32_t partition) const override;
  [[nodiscard]] bool holds(const SourceOffsets& state) const override;
  /// Errors: kInvalidArgument where it can't go on: the topic was deleted, a row is too large for
  /// it; the store's.
  [[nodiscard]] Status pass(const StateReader& state, const StateWrites& writes) override;

  /// The view gives way to another generation with the same topic: removes the rows that the other
  /// one does not have. Both states stand still. From the first commit on the topic says nothing of
  /// this one any more. kNotAvailable: its state is behind the topic.
  [[nodiscard]] Status give_way(const StateReader& state, const ViewPlan& heir, ViewId heir_id);

 private:
  /// A row as the topic has it.
  struct Row {
    std::string key;
    std::string value;
    RowError error = RowError::kNone;
    friend bool operator==(const Row&, const Row&) = default;
  };
  using RowList = std::vector<Row>;

  Changelog(Store& store, Clock& clock, const ViewPlan& plan, ViewId id);
  [[nodiscard]] Status load();
  [[nodiscard]] Status tell(const StateReader& state, const WrittenState& then);
  /// Forgets what a pass that came to no end, whatever ended it, was about to commit.
  void drop_begun();
  [[nodiscard]] Row row_of(const ReadRow& row) const;
  [[nodiscard]] Result<RowList> rows_of(ViewReader& reader, std::string_view group) const;
  /// The groups whose rows may differ.
  [[nodiscard]] Result<std::set<std::string>> changed_groups(const ViewReader& before,
                                                             const ViewReader& after,
                                                             const StateReader& state,
                                                             const WrittenState& then) const;
  /// A group's key without what follows its columns. False: damaged.
  [[nodiscard]] bool columns_of(std::string_view stored_key, std::string_view& columns) const;
  [[nodiscard]] Status tell_changes(ViewReader& before, ViewReader& after,
                                    const std::set<std::string>& groups);
  [[nodiscard]] Status tell_all(ViewReader& after);
  void tell_difference(const RowList& before, const RowList& after);
  void add(const Row& row, bool gone);
  [[nodiscard]] bool is_full() const noexcept;
  void finish_batch(std::size_t target);
  /// The rows so far, and that they are all (`whole`) or those up to a group.
  [[nodiscard]] Status commit_told(const SourceOffsets& now, bool whole, std::string_view group);
  [[nodiscard]] Status commit(ChangelogPlace place);

  Store& store_;
  Clock& clock_;
  const ViewPlan& plan_;
  const ViewId id_;
  const std::string generation_;
  std::vector<AnswerColumn> columns_;
  std::vector<std::size_t> key_columns_;  ///< which of the group columns make a record's key
  std::vector<AnswerColumn> key_names_;

  std::vector<PartitionRef> targets_;
  std::vector<std::size_t> most_bytes_;  ///< by target, of a batch
  Uuid topic_;
  ChangelogPlace place_;
  bool stale_ = false;  ///< the place has to be read again: a pass began and came to no end
  std::optional<SourceOffsets> goal_;  ///< no record behind it is folded for now
  bool silent_ = false;                ///< the goal is what was told

  // What goes into one commit.
  std::vector<protocol::BatchBuilder> builders_;  ///< by target
  std::vector<AppendItem> appends_;
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;
  Status trouble_;
};

}  // namespace runnel::storage::views
