#include "storage/segments/one_segment.h"

#include "storage/segments/data_segments.h"
#include "storage/segments/segment_files.h"

namespace runnel::storage {

Result<std::shared_ptr<File>> OneSegment::open(std::uint32_t number) {
  if (file_ && number_ == number) return file_;
  if (!names_) {
    RUNNEL_TRY_ASSIGN(const auto entries, fs_.list(directory_));
    names_.emplace();
    for (const DirectoryEntry& entry : entries) names_->insert(entry.name);
  }
  const std::string name =
      is_data_segment(number) ? data_segment_file_name(number) : segment_file_name(number);
  if (!names_->contains(name)) return std::shared_ptr<File>();
  file_.reset();
  RUNNEL_TRY_ASSIGN(file_, fs_.open(directory_ + "/" + name, {}));
  number_ = number;
  return file_;
}

}  // namespace runnel::storage
