// Files of an export: written whole or not at all, compressed with what people have at hand.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace runnel::tools {

enum class FileCodec { kNone, kGzip, kZstd };
/// "none", "gzip", "zstd".
[[nodiscard]] std::string_view name_of(FileCodec codec) noexcept;
[[nodiscard]] Result<FileCodec> file_codec_named(std::string_view name);
/// "", ".gz", ".zst".
[[nodiscard]] std::string_view suffix_of(FileCodec codec) noexcept;

struct FileSum {
  std::uint64_t bytes = 0;
  std::string
      xxh3;  ///< XXH3-64 of the file as it lies there, 16 hex digits, as `xxhsum -H3` has it
};
/// kNotFound, kIo.
[[nodiscard]] Result<FileSum> sum_of(const std::string& path);

/// Compresses `from` into a new file `to`, which is on stable storage then. kIo.
[[nodiscard]] Status compress_file(const std::string& from, const std::string& to, FileCodec codec);

/// The content of a file, decompressed while it is read. After a failure the stream is bad().
/// kNotFound, kIo.
[[nodiscard]] Result<std::unique_ptr<std::istream>> open_compressed(const std::string& path,
                                                                    FileCodec codec);

/// Makes a file's or directory's content durable. kIo.
[[nodiscard]] Status sync_path(const std::string& path);
/// Writes all of `text` to the end of `path`, created if need be, and syncs it. kIo.
[[nodiscard]] Status append_synced(const std::string& path, std::string_view text);
/// kIo: what could not be done with `path`, and errno's text.
[[nodiscard]] Error file_error(std::string_view doing, const std::string& path);

}  // namespace runnel::tools
