// Makes the index of one partition say what is lost: for repair.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/index/index.h"
#include "storage/log/damaged_records.h"
#include "storage/log/partition.h"
#include "storage/log/records.h"
#include "storage/repair.h"

namespace runnel::storage {

/// Looks at every entry that lies where something is damaged, and at gaps between entries. What is
/// sound stays, at the place where it is. Not thread safe.
class Mending {
 public:
  Mending(const Index& index, FileSystem& fs, std::string segments,
          const std::vector<Damage>& damages, Timestamp now)
      : index_(index), fs_(fs), segments_(std::move(segments)), damages_(damages), now_(now) {}

  /// Offsets that are lost, and the entries that held them; none: nobody knows where they lay.
  struct Loss {
    PartitionId partition;
    LostRange range;
    std::vector<IndexEntry> from;
  };
  /// Adds the changes to `to`; the partition's writer state is marked dirty where it changes.
  /// Entries are read as the index has them now.
  [[nodiscard]] Result<std::vector<Loss>> mend(Partition& partition, Mutations& to);

 private:
  struct Work;
  [[nodiscard]] Result<std::vector<IndexEntry>> entries_of(const Partition& partition) const;
  [[nodiscard]] bool is_suspect(const IndexEntry& entry);
  /// Null: the file is missing.
  [[nodiscard]] Result<std::shared_ptr<File>> file_of(std::uint32_t segment);
  [[nodiscard]] Result<std::vector<IndexEntry>> salvage(const IndexEntry& entry);
  void lose(Work& work, const IndexEntry& lost, const IndexEntry* from);
  [[nodiscard]] Status look_at(Work& work, const IndexEntry& entry, Mutations& to);
  [[nodiscard]] Status put_spans(Work& work, Mutations& to);
  [[nodiscard]] Status put_start(const Work& work, Mutations& to);
  void put_losses(const Work& work, Mutations& to) const;

  const Index& index_;
  FileSystem& fs_;
  const std::string segments_;
  const std::vector<Damage>& damages_;
  const Timestamp now_;
  std::map<std::uint32_t, std::shared_ptr<File>> files_;
};

}  // namespace runnel::storage
