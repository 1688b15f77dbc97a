// The Store's implementation: puts journal, index, committer, reader and maintenance together.
#pragma once

#include <atomic>
#include <condition_variable>
#include <set>
#include <thread>

#include "protocol/base/thread_annotations.h"
#include "storage/commit/committer.h"
#include "storage/commit/stager.h"
#include "storage/index/index.h"
#include "storage/log/cleaner.h"
#include "storage/log/directory.h"
#include "storage/log/reader.h"
#include "storage/log/retention_clock.h"
#include "storage/log/scrubber.h"
#include "storage/log/segment_ledger.h"
#include "storage/log/told_once.h"
#include "storage/log/topics.h"
#include "storage/log/worker.h"
#include "storage/segments/data_segments.h"
#include "storage/segments/journal.h"
#include "storage/segments/space_guard.h"
#include "storage/store.h"

namespace runnel::storage {

class LogStore final : public Store {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(StoreOptions options);
  ~LogStore() override;
  Status close() override;
  /// Saves the index as it is now and so gets it ahead of the checkpoint, which it does by itself
  /// where its memory is full. For tests. Any thread, between open() and close().
  [[nodiscard]] Status flush_index() { return index_->flush(); }

  Result<TopicInfo> create_topic(const TopicSpec& spec) override;
  Status validate_topic(const TopicSpec& spec) const override;
  Status set_topic_defaults(ConfigMap defaults) override RUNNEL_EXCLUDES(defaults_mutex_);
  Status delete_topic(std::string_view name) override;
  Status alter_topic(std::string_view name,
                     const std::map<std::string, std::optional<std::string>>& changes) override;
  Status add_partitions(std::string_view name, std::int32_t total) override;
  std::vector<std::string> topic_names() const override;
  Result<TopicInfo> describe_topic(std::string_view name) const override;
  Result<std::string> topic_name(const Uuid& id) const override;
  Result<PartitionRef> partition(std::string_view topic, PartitionIndex index) const override;
  PartitionId partition_id(const PartitionRef& partition) const override;
  Result<Offset> delete_records(const PartitionRef& partition, Offset before) override;
  PartitionInfo partition_info(const PartitionRef& partition) const override;
  RecordRules record_rules(const PartitionRef& partition) const override;

  void commit(CommitRequest request, CommitCallback done) override;
  void queue_commit(CommitRequest request, CommitCallback done) override;
  bool drive_commits() override;
  Result<ProducerIdentity> new_producer() override;
  Result<std::vector<ProducerInfo>> producers(const PartitionRef& partition) override;
  Result<std::optional<ProducerInfo>> producer(const PartitionRef& partition,
                                               ProducerId id) override;

  FetchTicket fetch(FetchRequest request, FetchCallback done) override;
  bool cancel_fetch(FetchTicket ticket) override;
  std::unique_ptr<Watch> watch(std::vector<PartitionRef> partitions,
                               std::function<void()> changed) override;
  Result<OffsetAnswer> find_offset(const PartitionRef& partition, OffsetQuery query) const override;

  Result<std::optional<CommittedOffset>> committed_offset(std::string_view group,
                                                          std::string_view topic,
                                                          PartitionIndex partition) const override;
  Result<std::vector<CommittedOffset>> committed_offsets(std::string_view group) const override;
  Result<std::vector<std::string>> groups_with_offsets() const override;
  Status delete_group_offsets(std::string_view group) override;
  void start_expiry() override { expiry_started_ = true; }
  void set_group_active(std::string_view group, bool active) override;
  Result<StateEntries> read_state(std::string_view prefix) const override;

  Result<Snapshot> take_snapshot() override RUNNEL_EXCLUDES(maintenance_mutex_);
  Result<Erasure> erase_key(std::string_view id, std::string_view topic,
                            std::string_view key) override {
    return cleaner_->request_erasure(id, topic, key);
  }
  Result<Erasure> erasure(std::string_view id) const override { return cleaner_->erasure(id); }
  std::vector<Erasure> erasures() const override { return cleaner_->erasures(); }

  Status run_maintenance() override;
  StoreStats stats() const override;
  MemoryBudget& memory() override { return memory_; }
  const Uuid& id() const override { return directory_.id; }

 private:
  explicit LogStore(StoreOptions options);
  [[nodiscard]] Status start();
  [[nodiscard]] Status load_producer_ids();
  [[nodiscard]] Status start_clock();
  [[nodiscard]] Status start_scrubber();
  [[nodiscard]] IndexOptions index_options();
  [[nodiscard]] JournalOptions journal_options() const;
  [[nodiscard]] CommitterOptions committer_options();
  void log(LogLevel level, std::string_view text) const;
  void report_missing_segments() const;
  /// What repairs took out and nobody deleted since.
  struct LostInAll {
    std::uint64_t ranges = 0;
    std::uint64_t offsets = 0;
    std::string names;  ///< of the first kMostLostNamed
  };
  static constexpr std::uint64_t kMostLostNamed = 20;
  [[nodiscard]] LostInAll count_lost() const;
  void report_lost() const;

  // log_store_commit.cc
  struct Growth;
  /// Notes who is active; false if the store knows it already.
  [[nodiscard]] bool is_news(const GroupActivity& activity);
  void submit(CommitRequest request, CommitCallback done, Committer::Wake wake);
  [[nodiscard]] Status prepare(CommitRequest& request, Growth* growth);
  [[nodiscard]] Status prepare_append(AppendItem& item, Growth* growth);
  [[nodiscard]] Status prepare_markers(const std::vector<TransactionMarker>& markers) const;
  /// kUnknownProducer for an id that was never given out.
  [[nodiscard]] Status check_producer(ProducerId producer) const;

  void submit_ready(CommitRequest request, CommitCallback done, Committer::Wake wake,
                    std::shared_ptr<Growth> growth);
  [[nodiscard]] Status compress_anew(AppendItem& item, const TopicConfig& config, Growth& growth);

  // log_store_topics.cc
  [[nodiscard]] Result<std::shared_ptr<Topic>> changed_topic(const Topic& from, TopicRecord record);
  [[nodiscard]] Status check_spec(const TopicSpec& spec) const;
  /// Publishes a changed topic, with the configs that hold for it.
  void put_topic(const TopicRef& topic) RUNNEL_EXCLUDES(defaults_mutex_);
  void apply_configs(const Topic& topic) RUNNEL_REQUIRES(defaults_mutex_);
  [[nodiscard]] Result<std::uint64_t> take_partition_ids(std::uint64_t count, Mutations& to);
  void erase_partition(const Partition& partition, Mutations& to) const;

  // trim.cc
  struct Trim {
    PartitionRef partition;
    LogStart start;
    Offset kept_base;  ///< base of the entry that holds the new start; the start if none does
    std::uint64_t moves = 0;  ///< Partition::View::moves when it was planned
  };
  /// How many of a partition's bytes lie before a place. Where nothing was ever taken out each
  /// entry says it; else it is counted from the log start on.
  struct ByteCount {
    std::uint64_t at = 0;
    bool running = false;
  };
  /// Before `first`, which holds the log start or comes from a partition that was not compacted.
  [[nodiscard]] Result<ByteCount> count_bytes(const Partition::View& view,
                                              const IndexEntry& first) const;
  [[nodiscard]] Result<std::uint64_t> bytes_removed_before(const Partition& partition,
                                                           const Partition::View& view,
                                                           const IndexEntry& entry) const;
  /// The lost range that begins at `first` was found before `time`.
  [[nodiscard]] bool lost_before(const Partition& partition, Offset first, Timestamp time) const;
  /// No record that the partition has in the segment was written later; nothing for the segment
  /// being written.
  [[nodiscard]] std::optional<Timestamp> written_before(const Partition& partition,
                                                        std::uint32_t segment) const;
  [[nodiscard]] Result<Trim> plan_trim(const PartitionRef& partition, Offset before) const;
  [[nodiscard]] Status trim(std::vector<Trim> trims);
  /// `by_age`: whether retention.ms counts this time.
  [[nodiscard]] Result<std::optional<Trim>> plan_retention(const PartitionRef& partition,
                                                           Timestamp now, bool by_age) const;

  // snapshot.cc
  [[nodiscard]] Status fill_snapshot(Snapshot& snapshot) RUNNEL_REQUIRES(maintenance_mutex_);
  /// False: somebody reads it.
  [[nodiscard]] Result<bool> remove_if_unread(const std::string& snapshot);
  /// The oldest one that nobody reads goes for a new one. kOverloaded: each of them is read.
  [[nodiscard]] Status make_room_for_snapshot() RUNNEL_REQUIRES(maintenance_mutex_);
  /// Those that nobody reads any more.
  [[nodiscard]] Status remove_snapshots() RUNNEL_REQUIRES(maintenance_mutex_);
  /// Those of an earlier run.
  [[nodiscard]] Status remove_old_snapshots();
  [[nodiscard]] bool is_closed() RUNNEL_EXCLUDES(background_mutex_);

  // maintenance.cc
  using SteadyTime = std::chrono::steady_clock::time_point;
  void run_background();
  [[nodiscard]] bool wait_for_work(SteadyTime next_anchor, SteadyTime next_maintenance)
      RUNNEL_EXCLUDES(background_mutex_);
  void became_durable();  ///< any thread
  [[nodiscard]] Status maintain();
  [[nodiscard]] CleanerOptions cleaner_options();
  [[nodiscard]] Status anchor_if_behind();
  /// Forgets states not used since `expired` and saves the others a few at a time, so that a
  /// checkpoint holds up no commit.
  [[nodiscard]] Status save_producers(Timestamp expired);
  void add_producers(std::size_t most, Mutations& to) const;
  [[nodiscard]] Status checkpoint() RUNNEL_REQUIRES(maintenance_mutex_);
  /// A checkpoint if a crash now would mean much to replay.
  [[nodiscard]] Status checkpoint_if_far_behind();
  [[nodiscard]] bool is_far_behind() const RUNNEL_REQUIRES(maintenance_mutex_);
  [[nodiscard]] bool checkpoint_is_due() const RUNNEL_REQUIRES(maintenance_mutex_);
  [[nodiscard]] Status apply_retention() RUNNEL_REQUIRES(maintenance_mutex_);
  [[nodiscard]] bool age_check_is_due() RUNNEL_REQUIRES(maintenance_mutex_);
  [[nodiscard]] Status expire_offsets() RUNNEL_REQUIRES(maintenance_mutex_);
  [[nodiscard]] Status remove_dead_segments() RUNNEL_REQUIRES(maintenance_mutex_);
  void look_at_space();
  [[nodiscard]] static Error out_of_space();
  /// The index found the disk full (IndexOptions::FullDisk::wait).
  [[nodiscard]] bool wait_for_room(int attempt) RUNNEL_EXCLUDES(background_mutex_);

  StoreOptions options_;
  DirectoryPaths paths_;
  DataDirectory directory_;
  MemoryBudget memory_;
  std::unique_ptr<SpaceGuard> space_;
  Topics topics_;
  SegmentLedger segments_;
  Producers producers_;  ///< of whoever commits
  std::atomic<bool> loaded_{false};
  std::unique_ptr<Index> index_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<DataSegments> data_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Stager> stager_;
  std::unique_ptr<Committer> committer_;
  ToldOnce cleaner_damages_;
  std::unique_ptr<Cleaner> cleaner_;
  std::unique_ptr<Scrubber> scrubber_;
  std::atomic<bool> driven_{false};  ///< somebody calls drive_commits()
  Worker recompression_;             ///< compresses anew, off the threads that serve sockets
  RetentionClock retention_clock_;
  bool clock_doubted_ RUNNEL_GUARDED_BY(maintenance_mutex_) = false;
  std::atomic<bool> low_space_{false};
  std::atomic<bool> out_of_space_{false};  ///< the index waits for room
  std::uint64_t recovered_frames_ = 0;
  std::uint64_t recovery_micros_ = 0;

  /// Ids below it were given out, or may be soon.
  std::atomic<std::int64_t> producer_ids_end_{0};
  mutable Mutex producers_mutex_;
  std::int64_t next_producer_ RUNNEL_GUARDED_BY(producers_mutex_) = 0;
  std::int64_t producers_left_ RUNNEL_GUARDED_BY(producers_mutex_) = 0;

  /// Also held while configs are given to partitions, so that the newest stays.
  mutable Mutex defaults_mutex_;
  ConfigMap topic_defaults_ RUNNEL_GUARDED_BY(defaults_mutex_);
  std::atomic<bool> topic_defaults_known_{false};

  std::atomic<bool> expiry_started_{false};
  mutable Mutex groups_mutex_;
  std::set<std::string, std::less<>> active_groups_ RUNNEL_GUARDED_BY(groups_mutex_);

  /// Serialises maintenance: the background thread and run_maintenance().
  Mutex maintenance_mutex_;
  Position checkpointed_ RUNNEL_GUARDED_BY(maintenance_mutex_);
  Position checkpoint_end_ RUNNEL_GUARDED_BY(maintenance_mutex_);
  std::chrono::nanoseconds last_checkpoint_ RUNNEL_GUARDED_BY(maintenance_mutex_){0};
  std::chrono::nanoseconds last_expiry_ RUNNEL_GUARDED_BY(maintenance_mutex_){0};
  std::chrono::nanoseconds next_age_check_ RUNNEL_GUARDED_BY(maintenance_mutex_){0};

  /// Name and when it was taken, monotonic.
  std::map<std::string, std::chrono::nanoseconds> snapshots_ RUNNEL_GUARDED_BY(maintenance_mutex_);
  std::atomic<std::uint64_t> snapshots_held_{0};  ///< how many these are

  Mutex background_mutex_;
  std::condition_variable_any background_changed_;
  bool closing_ RUNNEL_GUARDED_BY(background_mutex_) = false;
  bool closed_ RUNNEL_GUARDED_BY(background_mutex_) = false;
  std::thread background_;
  std::atomic<bool> idle_{false};  ///< the background thread waits for the next commit
  Position anchored_;              ///< background thread only
};

}  // namespace runnel::storage
