// Makes the index of one partition say what is lost: for repair.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "storage/index/index.h"
#include "storage/log/damaged_records.h"
#include "storage/log/partition.h"
#include "storage/log/records.h"
#include "storage/repair.h"
#include "storage/segments/one_segment.h"

namespace runnel::storage {

/// Looks at every entry that lies where something is damaged, and at gaps between entries. What is
/// sound stays, at the place where it is. Not thread safe.
class Mending {
 public:
  Mending(const Index& index, FileSystem& fs, std::string segments,
          const std::vector<Damage>& damages, Timestamp now)
      : index_(index), segments_(fs, std::move(segments)), damages_(damages), now_(now) {}

  /// Offsets that are lost, and the entries that held them; none: nobody knows where they lay.
  struct Loss {
    PartitionId partition;
    LostRange range;
    std::vector<IndexEntry> from;
  };
  /// Adds the changes to `to`; the partition's writer state is marked dirty where it changes.
  /// Entries are read as the index has them now. An error of reading files ends it: what can't be
  /// read for want of descriptors or memory is not lost.
  [[nodiscard]] Result<std::vector<Loss>> mend(Partition& partition, Mutations& to);

 private:
  struct Work;
  [[nodiscard]] Result<std::vector<IndexEntry>> entries_of(const Partition& partition) const;
  [[nodiscard]] Result<bool> is_suspect(const IndexEntry& entry);
  [[nodiscard]] Result<std::vector<IndexEntry>> salvage(const IndexEntry& entry);
  void lose(Work& work, const IndexEntry& lost, const IndexEntry* from);
  [[nodiscard]] Status look_at(Work& work, const IndexEntry& entry, Mutations& to);
  [[nodiscard]] Status put_spans(Work& work, Mutations& to);
  [[nodiscard]] Status put_start(const Work& work, Mutations& to);
  void put_losses(const Work& work, Mutations& to) const;

  const Index& index_;
  OneSegment segments_;
  const std::vector<Damage>& damages_;
  const Timestamp now_;
};

}  // namespace runnel::storage
