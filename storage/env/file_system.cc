#include "storage/env/file_system.h"

namespace runnel::storage {

Status File::write(std::uint64_t position, Bytes bytes) {
  // iovec serves reads as well, so its pointer is not const; write() does not change the bytes.
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  return write(position, std::span<iovec>(&part, 1));
}

Status File::read_exactly(std::uint64_t position, MutableBytes into) const {
  RUNNEL_TRY_ASSIGN(const std::size_t got, read(position, into));
  if (got == into.size()) return {};
  return fail(ErrorCode::kCorrupt, path() + " ends at byte " + std::to_string(position + got) +
                                       ", but " + std::to_string(into.size()) +
                                       " bytes were expected at " + std::to_string(position) +
                                       ": the file was cut short; restore it from a backup");
}

Result<std::vector<FileRange>> File::data_ranges() const {
  RUNNEL_TRY_ASSIGN(const std::uint64_t bytes, size());
  return std::vector<FileRange>{{0, bytes}};
}

Result<std::string> FileSystem::read_file(const std::string& path) {
  RUNNEL_TRY_ASSIGN(const auto file, open(path, {}));
  RUNNEL_TRY_ASSIGN(const std::uint64_t size, file->size());
  std::string contents(size, '\0');
  RUNNEL_TRY_ASSIGN(const std::size_t got,
                    file->read(0, std::as_writable_bytes(std::span(contents))));
  contents.resize(got);
  return contents;
}

Status FileSystem::replace_file(const std::string& path, Bytes contents) {
  const std::string temporary = path + ".tmp";
  const auto write_temporary = [&]() -> Status {
    RUNNEL_TRY_ASSIGN(const auto file,
                      open(temporary, {.write = true, .create = true, .truncate = true}));
    RUNNEL_TRY(file->write(0, contents));
    return file->sync();
  };
  if (Status written = write_temporary(); !written) {
    // Best effort: a leftover does no harm, the next call truncates it.
    static_cast<void>(remove(temporary));
    return written;
  }
  RUNNEL_TRY(rename(temporary, path));
  return sync_directory(parent_directory(path));
}

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace runnel::storage
