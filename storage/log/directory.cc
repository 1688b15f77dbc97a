#include "storage/log/directory.h"

#include <charconv>
#include <cstdio>
#include <optional>

#include "protocol/record_batch/crc32c.h"

namespace runnel::storage {
namespace {

constexpr std::string_view kFirstLine = "runnel data directory\n";
constexpr std::string_view kFormatLine = "format ";
constexpr std::string_view kIdLine = "id ";
constexpr std::string_view kSeedLine = "seed ";
constexpr std::size_t kSeedDigits = 16;
constexpr std::string_view kCheckLine = "check ";
constexpr std::size_t kCheckDigits = 8;

std::string hex(std::uint64_t number, std::size_t digits) {
  char text[17];
  std::snprintf(text, sizeof text, "%0*llx", static_cast<int>(digits),
                static_cast<unsigned long long>(number));
  return text;
}

/// FORMAT is five lines of text: what this is, "format N", "id ID", "seed HEX", "check HEX", the
/// last with the CRC-32C of those before. With another seed no frame would count.
std::string format_text(const DirectoryFormat& format) {
  std::string text(kFirstLine);
  text += std::string(kFormatLine) + std::to_string(kDataFormat) + "\n";
  text += std::string(kIdLine) + format.id.to_string() + "\n";
  text += std::string(kSeedLine) + hex(format.frame_seed, kSeedDigits) + "\n";
  text += std::string(kCheckLine) + hex(protocol::crc32c(as_bytes(text)), kCheckDigits) + "\n";
  return text;
}

/// A number of exactly `digits` hexadecimal digits and the end of the line, taken off `rest`.
std::optional<std::uint64_t> take_hex_line(std::string_view& rest, std::size_t digits) {
  if (rest.size() <= digits || rest[digits] != '\n') return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = rest.data() + digits;
  const auto [stop, error] = std::from_chars(rest.data(), end, number, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  rest.remove_prefix(digits + 1);
  return number;
}

tl::unexpected<Error> damaged(const std::string& path) {
  return fail(ErrorCode::kCorrupt,
              path +
                  " can't be read: it should be five lines, "
                  "'runnel data directory', 'format N', 'id ID', 'seed HEX' "
                  "and 'check HEX'. Restore it from a backup of this directory");
}

}  // namespace

Result<DirectoryFormat> read_format(FileSystem& fs, const std::string& root) {
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
  const auto id = Uuid::parse(rest.substr(0, newline));
  rest.remove_prefix(newline + 1);
  if (!id || !skip(kSeedLine)) return damaged(path);
  const auto seed = take_hex_line(rest, kSeedDigits);
  const std::string_view checked = std::string_view(text).substr(0, text.size() - rest.size());
  if (!seed || !skip(kCheckLine)) return damaged(path);
  const auto check = take_hex_line(rest, kCheckDigits);
  if (!check || !rest.empty() || *check != protocol::crc32c(as_bytes(checked))) {
    return damaged(path);
  }
  return DirectoryFormat{*id, *seed};
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
  auto format = read_format(fs, root);
  if (!format && format.error().code() != ErrorCode::kNotFound) return fail(format.error());
  if (!format) {
    format = DirectoryFormat{Uuid::from_random(random.next(), random.next()), random.next()};
    RUNNEL_TRY(fs.replace_file(paths.format, as_bytes(format_text(*format))));
  }
  directory.id = format->id;
  directory.frame_seed = format->frame_seed;
  for (const auto& sub : {paths.segments, paths.index}) {
    if (fs.exists(sub)) continue;
    RUNNEL_TRY(fs.create_directory(sub));
    RUNNEL_TRY(fs.sync_directory(root));
  }
  return directory;
}

}  // namespace runnel::storage
