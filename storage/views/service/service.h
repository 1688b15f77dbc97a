// The view service's inside; private to this folder.
//
// Two locks. `changes_` is held by whoever changes what is defined or who folds it: a statement, or
// the keeper. `mutex_` guards what was published of that, and is never held while anything blocks.
// Taken in this order. A worker's thread takes `mutex_` alone.
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <set>
#include <thread>

#include "protocol/base/thread_annotations.h"
#include "storage/views/engine/state_mark.h"
#include "storage/views/service/catalogue.h"
#include "storage/views/service/topic_runner.h"
#include "storage/views/service/view_service.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::views {

/// What goes with a change of what is defined.
struct Along {
  StateEntries positions{};     ///< of what views wrote to topics: in the same commit
  std::vector<ViewId> leaps{};  ///< Service::leap()
};

class Service final : public ViewService {
 public:
  using Steady = std::chrono::steady_clock;

  Service(Store& store, ViewServiceOptions options)
      : store_(store),
        options_(std::move(options)),
        histories_(options_.history_bytes, options_.memory_bytes / 8) {}
  ~Service() override { stop(); }
  [[nodiscard]] Status start();
  void stop() override;

  using ViewService::execute;
  [[nodiscard]] Result<std::vector<Answer>> execute(std::string_view text,
                                                    const QueryLimits& limits) override;
  [[nodiscard]] ReadSnapshot snapshot() const override;
  [[nodiscard]] std::vector<ViewStatus> status() const override;
  void when_applied(std::string_view view, std::vector<Position> positions,
                    Steady::time_point deadline, AppliedCallback done) override;
  [[nodiscard]] Result<std::unique_ptr<ViewWatch>> watch(std::string_view view,
                                                         std::function<void()> changed) override;

 private:
  /// Who works on what: a topic's views; or a view that is built, or has a changelog; or a stream.
  struct Task {
    std::string topic;
    ViewId alone;  ///< zero: all the others
    friend bool operator==(const Task&, const Task&) = default;
    friend bool operator<(const Task& a, const Task& b) {
      return std::tie(a.topic, a.alone.view, a.alone.generation) <
             std::tie(b.topic, b.alone.view, b.alone.generation);
    }
  };
  using Runners = std::map<Task, std::shared_ptr<TopicRunner>>;
  struct Waiter {
    std::string view;
    std::vector<Position> positions;  ///< in order, each partition once
    Steady::time_point deadline;
    AppliedCallback done;
  };
  struct Watcher;
  class WatchHandle;
  using Settled = std::vector<std::pair<AppliedCallback, Status>>;

  // statements.cc: one statement.
  [[nodiscard]] Result<Answer> run(const sql::Parsed& parsed, const QueryLimits& limits);
  [[nodiscard]] Result<Answer> change_by(const sql::Parsed& parsed) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> define(const sql::CreateSource& statement, const std::string& text)
      RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> define(const sql::CreateView& statement, const std::string& text)
      RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> define(const sql::CreateStream& statement, const std::string& text)
      RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> drop(const sql::Drop& statement) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> alter(const sql::Alter& statement) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> set_options(const Entry& entry, const sql::Alter& statement)
      RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<Answer> resume(Entry entry) RUNNEL_REQUIRES(changes_);
  /// The same name is there already: the answer, if there is nothing else to do; the entry that is
  /// to be replaced.
  struct Taken {
    std::optional<Answer> answer;
    const Entry* replaced = nullptr;
  };
  [[nodiscard]] Result<Taken> check_name(const sql::Name& name, sql::ObjectKind kind,
                                         bool or_replace, bool if_not_exists)
      RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<TopicInfo> topic_of(const std::string& topic) const;
  /// The version of a view or stream that `text` makes now, with its inputs and where it begins.
  [[nodiscard]] Result<StoredVersion> make_version(const sql::Query& query, const std::string& text,
                                                   const SourcePlan& source, Backfill backfill)
      RUNNEL_REQUIRES(changes_);
  /// Puts a version beside the one that is read, or in its place where it has no state to build.
  [[nodiscard]] Status put_version(Entry& entry, StoredVersion version, BoundVersion bound) const;
  /// The statements of the sources and tables among `names`; `changed` is as it will be.
  [[nodiscard]] std::vector<std::string> inputs_of(const std::vector<std::string>& names,
                                                   const Entry* changed) RUNNEL_REQUIRES(changes_);
  /// Where a version begins in a topic: at its start or its end.
  [[nodiscard]] static StartOffsets start_of(const TopicInfo& topic, Backfill backfill);
  /// A version of a view or stream with the inputs as they are with `changed`.
  [[nodiscard]] Status rebuild_reader(Entry& reader, const Entry& changed)
      RUNNEL_REQUIRES(changes_);
  /// The view would be computed from itself.
  [[nodiscard]] bool reads(const sql::Query& query, std::string_view name)
      RUNNEL_REQUIRES(changes_);
  /// It would read what it writes to a topic, its dead letters included, maybe by way of others.
  [[nodiscard]] bool runs_in_circles(std::string_view name, const BoundVersion& bound)
      RUNNEL_REQUIRES(changes_);
  /// The view or stream that writes the topic; nullptr: none.
  [[nodiscard]] const Entry* writer_of(const std::string& topic) RUNNEL_REQUIRES(changes_);
  /// A view's changelog topic is there, and nobody else's.
  [[nodiscard]] Status prepare_changelog(const sql::CreateView& statement, const ViewPlan& plan,
                                         const Entry* replaced) RUNNEL_REQUIRES(changes_);
  /// What the log no longer has.
  struct Missing {
    std::string what;
    bool lost = false;  ///< to damage: whoever reads gets as far as there
    /// Behind "no longer has all": which, and the way on, with what has to be done before it.
    [[nodiscard]] std::string but(const std::string& way) const;
  };
  /// Where records went that were there when the version began: removed from the log's start, lost
  /// to damage, erased by their keys. nullopt: all are there. kIo, kOverloaded: nobody knows.
  [[nodiscard]] Result<std::optional<Missing>> missing(const TopicInfo& topic,
                                                       const StoredVersion& version) const;
  [[nodiscard]] std::optional<std::string> erased(const TopicInfo& topic,
                                                  const StoredVersion& version) const;
  /// What a repair took out of a partition, from `from` on.
  [[nodiscard]] Result<std::optional<std::string>> damaged(const TopicInfo& topic,
                                                           PartitionIndex partition,
                                                           Offset from) const;
  /// Why the topic may lack records that were read; nullopt: it is not compacted.
  [[nodiscard]] std::optional<Missing> compacted(const TopicInfo& topic) const;
  /// Whose dead letters in the topic are those of `version` as well: a generation of the same
  /// statement, whatever options were altered. nullopt: nobody's.
  [[nodiscard]] static std::optional<ViewId> sender_of(const Entry& entry,
                                                       const StoredVersion& version);
  /// How far the dead letters of a generation are becomes how far those of another are, which are
  /// of the same records: none is sent twice. Nobody may be sending any.
  [[nodiscard]] Status inherit_letters(ViewId before, ViewId now, StateEntries& positions) const;
  /// The same for an entry of which one generation gives way to the next at once: its runners are
  /// stopped, and go on with whatever is wanted next.
  [[nodiscard]] Status inherit_letters(const Entry& before, const Entry& now,
                                       StateEntries& positions) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Result<std::int64_t> next_of(const Entry& entry, const StoredVersion& version,
                                             std::uint32_t partition) const;
  [[nodiscard]] Status go_over_gap(const Entry& entry, StoredVersion& version,
                                   std::vector<std::string>& notices);
  [[nodiscard]] tl::unexpected<Error> unknown(const sql::Name& name, sql::ObjectKind kind)
      RUNNEL_REQUIRES(changes_);
  [[nodiscard]] std::shared_ptr<const Definitions> definitions() const {
    const MutexLock lock(mutex_);
    return definitions_;
  }
  /// The views that read `entry` still make sense when it is `with`.
  [[nodiscard]] Status check_readers(const Entry& with) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] std::vector<Entry*> readers_of(std::string_view name) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Entry* find(std::string_view name) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Entry new_entry(const std::string& name, sql::ObjectKind kind)
      RUNNEL_REQUIRES(changes_);
  /// Waits a moment for views that are small; a notice where one is not.
  void wait_built(const std::vector<std::string>& names, Answer& answer);

  // keeper.cc
  /// Makes the changes durable, then has everybody see and follow them.
  [[nodiscard]] Status change(std::vector<Entry> changed, std::vector<std::uint32_t> gone,
                              const Along& along = {}) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Status save(const std::vector<Entry>& changed,
                            const std::vector<std::uint32_t>& gone, const StateEntries& more = {})
      RUNNEL_REQUIRES(changes_);
  /// Views that were dropped, by name: their last generations. A place in the changes names a
  /// generation, so none is given twice to views of one name.
  struct Gone {
    std::map<std::string, std::uint16_t> last;
    std::uint16_t of_others = 0;  ///< the greatest of those that are no longer known by name
  };
  [[nodiscard]] Status load_gone(std::string_view prefix) RUNNEL_REQUIRES(changes_);
  /// Names that stand where older builds wrote them are written where they belong.
  [[nodiscard]] Status move_old_names() RUNNEL_REQUIRES(changes_);
  /// What the changes make of it.
  void note_names(const std::vector<Entry>& changed, const std::vector<std::uint32_t>& gone,
                  Gone& names, std::vector<StateChange>& writes) const RUNNEL_REQUIRES(changes_);
  void publish() RUNNEL_REQUIRES(changes_);
  /// What readers have to know of how views were defined, by the views' names.
  using Notices = std::multimap<std::string, std::string>;
  /// Of views that began with other rules of their time zones, or before times had a bound.
  [[nodiscard]] Notices definition_notices() const RUNNEL_REQUIRES(changes_);
  /// Has the subscribers of views begin anew whose rows are other ones by their new definition,
  /// though no write says which. Behind publish(): who begins anew must find that definition.
  /// False: it could not be written, and they are not to be folded until it is.
  [[nodiscard]] bool leap() RUNNEL_REQUIRES(changes_);
  /// Has exactly those runners run that should.
  void reconcile() RUNNEL_REQUIRES(changes_);
  [[nodiscard]] std::map<Task, std::vector<RunnerView>> wanted() RUNNEL_REQUIRES(changes_);
  [[nodiscard]] static Task task_of(ViewId id, const StoredVersion& version,
                                    const BoundVersion& bound);
  /// False: views turned out to have failed, and what is wanted is another thing now.
  [[nodiscard]] bool start_runner(const Task& task, std::vector<RunnerView> views,
                                  std::size_t cache_bytes) RUNNEL_REQUIRES(changes_);
  void remove_runner(const Task& task) RUNNEL_REQUIRES(changes_);
  void remove_runner(const TopicRunner& runner) RUNNEL_REQUIRES(changes_);
  [[nodiscard]] bool is_known(ViewId id) const RUNNEL_REQUIRES(changes_);
  void fail_versions(const std::vector<std::pair<ViewId, Error>>& failed) RUNNEL_REQUIRES(changes_);
  void collect_failures() RUNNEL_REQUIRES(changes_);
  void keep();
  void look_after() RUNNEL_EXCLUDES(changes_);

  // state.cc
  /// Opens the state where it is needed and was not. What is damaged is put aside, and computed
  /// again from the topics.
  [[nodiscard]] Status ensure_state() RUNNEL_REQUIRES(changes_);
  /// The same where nobody waits: what goes wrong is said, and tried again by the keeper.
  void open_state() RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Status put_aside(const Error& why);
  /// Settles what the state is worth: whole, as of the last flush, or lost.
  [[nodiscard]] Status take_up(StateStore& state) RUNNEL_REQUIRES(changes_);
  /// Why the version's state is none; nullopt: it has one, or nothing was read yet.
  [[nodiscard]] Result<std::optional<std::string>> loss_of(const StateStore& state,
                                                           const StoredVersion& version, ViewId id,
                                                           StateMark mark) const;
  /// Reads all of it where a view has come upon damage before. kCorrupt.
  [[nodiscard]] Status check(const StateStore& state) const RUNNEL_REQUIRES(changes_);
  /// The entry's view is computed again, in a generation of its own: nobody's place in the old
  /// changes fits the new ones. `positions`: of its dead letters and its changelog.
  [[nodiscard]] Status begin_anew(Entry& entry, const std::string& why,
                                  StateEntries& positions) const;
  /// Erases what the state has of views and generations that are not defined.
  [[nodiscard]] Status erase_strangers(StateStore& state) RUNNEL_REQUIRES(changes_);
  /// Forgets how far they got in topics.
  [[nodiscard]] Status forget_positions() RUNNEL_REQUIRES(changes_);
  void flush_if_due(bool now);
  /// Flushes, and says that nothing was lost.
  void close_state() RUNNEL_REQUIRES(changes_);

  // takeover.cc
  void finish_built() RUNNEL_REQUIRES(changes_);
  [[nodiscard]] Status finish(TopicRunner& builder) RUNNEL_REQUIRES(changes_);
  /// Who folds beside a version that is built: what it replaces, and whom it will be with.
  struct Neighbours {
    std::shared_ptr<TopicRunner> old;
    std::shared_ptr<TopicRunner> home;
  };
  [[nodiscard]] Neighbours neighbours_of(const Entry& entry) const RUNNEL_REQUIRES(changes_);
  /// What the version that is read has written to a topic is made the next one's.
  [[nodiscard]] Status hand_over_changelog(const Entry& entry) RUNNEL_REQUIRES(changes_);

  // progress.cc
  void after_round(TopicRunner& runner);
  void settle(const std::string* topic);
  [[nodiscard]] std::optional<Status> judge(const Waiter& waiter) const RUNNEL_REQUIRES(mutex_);
  [[nodiscard]] ViewStatus status_of(const Definition& definition, const ReadSnapshot& now) const;
  [[nodiscard]] std::shared_ptr<TopicRunner> runner_of(ViewId id) const RUNNEL_REQUIRES(mutex_);
  /// The view with state that a view is computed from; nullptr: it is gone.
  [[nodiscard]] DefinitionRef base_of(std::string_view name) const RUNNEL_REQUIRES(mutex_);
  void notify(const std::vector<std::string>* names);
  void kick();
  void log(LogLevel level, const std::string& text) const {
    if (options_.log) options_.log(level, text);
  }

  Store& store_;
  const ViewServiceOptions options_;
  mutable RowHistories histories_;

  Mutex changes_;
  Entries entries_ RUNNEL_GUARDED_BY(changes_);
  std::uint32_t next_number_ RUNNEL_GUARDED_BY(changes_) = 1;
  Gone gone_ RUNNEL_GUARDED_BY(changes_);
  std::vector<ViewId> leaps_ RUNNEL_GUARDED_BY(changes_);   ///< that leap() has to do
  bool again_ RUNNEL_GUARDED_BY(changes_) = false;          ///< a runner could not be started yet
  bool state_missing_ RUNNEL_GUARDED_BY(changes_) = false;  ///< it is needed and could not be had
  std::vector<std::string> touched_ RUNNEL_GUARDED_BY(changes_);  ///< by the last change()

  mutable Mutex mutex_;
  std::condition_variable_any changed_;  ///< for the keeper, and for wait_built()
  std::shared_ptr<const Definitions> definitions_ RUNNEL_GUARDED_BY(mutex_) =
      std::make_shared<const Definitions>();
  std::map<std::string, std::string> problems_ RUNNEL_GUARDED_BY(mutex_);  ///< of what replaces
  Notices definition_notices_ RUNNEL_GUARDED_BY(mutex_);
  std::set<std::string> unbuilt_ RUNNEL_GUARDED_BY(mutex_);  ///< views of which a version is built
  std::set<Task> busy_ RUNNEL_GUARDED_BY(mutex_);            ///< of views that are read
  std::shared_ptr<StateStore> state_ RUNNEL_GUARDED_BY(mutex_);
  std::string state_problem_ RUNNEL_GUARDED_BY(mutex_);  ///< why there is none
  std::string state_notice_ RUNNEL_GUARDED_BY(mutex_);   ///< of damaged state that lies about
  Runners runners_ RUNNEL_GUARDED_BY(mutex_);
  std::list<Waiter> waiters_ RUNNEL_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<Watcher>> watchers_ RUNNEL_GUARDED_BY(mutex_);
  bool kicked_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool dirty_ RUNNEL_GUARDED_BY(mutex_) = false;  ///< the state has what is not flushed
  bool stopping_ RUNNEL_GUARDED_BY(mutex_) = false;
  bool closed_ RUNNEL_GUARDED_BY(mutex_) = false;  ///< the state was
  Steady::time_point flushed_ RUNNEL_GUARDED_BY(mutex_) = Steady::now();
  std::thread keeper_ RUNNEL_GUARDED_BY(changes_);
};

}  // namespace runnel::storage::views
