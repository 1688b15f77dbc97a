#include "storage/log/directory.h"

#include <charconv>

namespace runnel::storage {
namespace {

constexpr std::string_view kFirstLine = "runnel data directory\n";
constexpr std::string_view kFormatLine = "format ";
constexpr std::string_view kIdLine = "id ";

/// FORMAT is three lines of text: what this is, "format N", "id ID".
std::string format_text(const Uuid& id) {
  return std::string(kFirstLine) + std::string(kFormatLine) + std::to_string(kDataFormat) + "\n" +
         std::string(kIdLine) + id.to_string() + "\n";
}

tl::unexpected<Error> damaged(const std::string& path) {
  return fail(ErrorCode::kCorrupt, path +
                                       " can't be read: it should be three lines, "
                                       "'runnel data directory', 'format N' and 'id ID'. Restore "
                                       "it from a backup of this directory");
}

}  // namespace

Result<Uuid> read_format(FileSystem& fs, const std::string& root) {
  const std::string path = DirectoryPaths(root).format;
  RUNNEL_TRY_ASSIGN(const std::string text, fs.read_file(path));
  std::string_view rest = text;
  const auto skip = [&](std::string_view expected) {
    if (!rest.starts_with(expected)) return false;
    rest.remove_prefix(expected.size());
    return true;
  };
  if (!skip(kFirstLine) || !skip(kFormatLine)) return damaged(path);
  int format = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), format);
  if (error != std::errc()) return damaged(path);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (format > kDataFormat) {
    return fail(ErrorCode::kFormatTooNew, root + " has data format " + std::to_string(format) +
                                              "; this version knows up to " +
                                              std::to_string(kDataFormat) +
                                              ". Use the newer Runnel that wrote it");
  }
  if (!skip("\n") || !skip(kIdLine)) return damaged(path);
  const auto newline = rest.find('\n');
  if (newline == std::string_view::npos) return damaged(path);
  auto id = Uuid::parse(rest.substr(0, newline));
  if (!id) return damaged(path);
  return *id;
}

Result<DataDirectory> open_directory(FileSystem& fs, Random& random, const std::string& root) {
  const DirectoryPaths paths(root);
  if (!fs.exists(root)) {
    RUNNEL_TRY(fs.create_directory(root));
    RUNNEL_TRY(fs.sync_directory(parent_directory(root)));
  } else if (!fs.is_directory(root)) {
    return fail(ErrorCode::kInvalidArgument, root + " is not a directory; name one for the data");
  }
  if (!fs.exists(paths.format)) {
    RUNNEL_TRY_ASSIGN(const auto entries, fs.list(root));
    for (const auto& e : entries) {
      // What a first start that was cut off may leave behind.
      if (e.name == "LOCK" || e.name == "FORMAT.tmp") continue;
      return fail(ErrorCode::kInvalidArgument,
                  root + " is not empty and holds no Runnel data (found '" + e.name +
                      "'); name an empty or a new directory");
    }
  }
  DataDirectory directory;
  RUNNEL_TRY_ASSIGN(directory.lock, fs.lock(paths.lock));
  auto id = read_format(fs, root);
  if (!id && id.error().code() != ErrorCode::kNotFound) return fail(id.error());
  if (!id) {
    directory.id = Uuid::from_random(random.next(), random.next());
    RUNNEL_TRY(fs.replace_file(paths.format, as_bytes(format_text(directory.id))));
  } else {
    directory.id = *id;
  }
  for (const auto& sub : {paths.segments, paths.index}) {
    if (fs.exists(sub)) continue;
    RUNNEL_TRY(fs.create_directory(sub));
    RUNNEL_TRY(fs.sync_directory(root));
  }
  return directory;
}

}  // namespace runnel::storage
