// What a disk keeps of files and directories when the power goes. Used by SimFileSystem alone.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "tests/support/sparse_bytes.h"

namespace runnel::storage {

/// What survives a power cut of what was not synced.
enum class CutMode {
  kDropAll,  ///< nothing
  kPrefix,   ///< a random prefix of each file's writes, the last one torn at a sector
  kSectors,  ///< of each 512-byte sector a random prefix of its writes; the size may be ahead
};

using SimRandom = std::mt19937_64;

/// A file's bytes: what the page cache shows and what the disk has. Not thread safe.
class SimContent {
 public:
  [[nodiscard]] const SparseBytes& visible() const noexcept { return visible_; }
  [[nodiscard]] std::uint64_t unsynced_operations() const noexcept { return pending_.size(); }
  void write(std::uint64_t position, Bytes bytes);
  void resize(std::uint64_t size);
  void sync();
  /// The kernel's behaviour after a failed fsync: the pages stay readable and count as clean, so
  /// no later sync writes them.
  void sync_failed();
  void power_cut(CutMode mode, SimRandom& random);
  /// Damage done behind the file system's back, at once durable.
  void flip_bit(std::uint64_t position, unsigned bit);
  void cut_to(std::uint64_t size);

 private:
  struct Change {
    bool resize = false;
    bool lost = false;           // its sync failed
    std::uint64_t position = 0;  // the new size of a resize
    std::string bytes;
  };
  static void apply(const Change& change, SparseBytes& to);
  void keep_prefix(SimRandom& random);
  void keep_sectors(SimRandom& random);

  SparseBytes visible_;
  SparseBytes durable_;
  std::vector<Change> pending_;
};

/// A file or a directory. Directories hold names as seen, names as on disk, and the operations
/// between the two in order.
struct SimNode {
  struct Edit {
    std::shared_ptr<SimNode> directory;
    std::string name;
    std::shared_ptr<SimNode> node;  // null removes the name
  };
  /// A rename between two directories is one operation, queued in both.
  struct Operation {
    std::uint64_t sequence = 0;
    std::vector<Edit> edits;
    bool applied = false;
  };
  using Names = std::map<std::string, std::shared_ptr<SimNode>>;

  std::uint64_t id = 0;
  bool is_directory = false;
  SimContent content;
  Names names;
  Names durable_names;
  std::deque<std::shared_ptr<Operation>> pending;
  std::int64_t modified = 0;  // seconds
  std::uint32_t links = 0;    // visible names
  std::uint32_t handles = 0;
  std::uint64_t charged = 0;  // bytes counted against the capacity
};
using SimNodePtr = std::shared_ptr<SimNode>;

/// The tree. Not thread safe.
class SimDisk {
 public:
  explicit SimDisk(std::uint64_t seed);
  ~SimDisk();
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  struct Place {
    SimNodePtr directory;
    std::string name;
    SimNodePtr node;  // null if there is none of that name
  };
  /// kNotFound if a directory on the way is missing.
  [[nodiscard]] Result<Place> find(const std::string& path) const;
  SimNodePtr create(const Place& place, bool is_directory);
  void link(const Place& to, const SimNodePtr& node);
  void unlink(const Place& place);
  void rename(const Place& from, const Place& to);
  /// Makes the first `count` unsynced operations of `directory` durable.
  void persist(SimNode& directory, std::size_t count);
  void power_cut(CutMode mode);
  /// Every handle is closed: its process ended.
  void close_all();
  /// Removes a name at once and durably.
  void destroy(const Place& place);
  /// Counts `node` against the capacity again after its size or its users changed.
  void charge(SimNode& node);

  [[nodiscard]] std::uint64_t used_bytes() const noexcept { return used_; }
  [[nodiscard]] const SimNodePtr& root() const noexcept { return root_; }
  [[nodiscard]] SimRandom& random() noexcept { return random_; }

 private:
  void persist_until(SimNode& directory, std::uint64_t sequence);
  void record(std::vector<SimNode::Edit> edits);
  void set_name(SimNode& directory, const std::string& name, const SimNodePtr& node);
  [[nodiscard]] std::vector<SimNodePtr> live_nodes();
  void restore_visible();

  SimRandom random_;
  SimNodePtr root_;
  std::map<std::uint64_t, std::weak_ptr<SimNode>> nodes_;  // by id, so that cuts are repeatable
  std::uint64_t next_id_ = 1;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t used_ = 0;
};

}  // namespace runnel::storage
