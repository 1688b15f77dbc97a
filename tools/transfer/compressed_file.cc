#include "tools/transfer/compressed_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <vector>

namespace runnel::tools {
namespace {

constexpr std::size_t kPieceBytes = 256u << 10;

/// An open file descriptor.
class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }

  [[nodiscard]] bool write_all(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
  }
  /// Bytes read, 0 at the end, -1 on an error.
  [[nodiscard]] ssize_t read_some(char* to, std::size_t size) const {
    while (true) {
      const ssize_t got = ::read(fd_, to, size);
      if (got >= 0 || errno != EINTR) return got;
    }
  }

 private:
  int fd_;
};

/// Takes pieces of the plain text and gives their compressed form to `out`.
using Sink = std::function<bool(std::string_view)>;

bool copy(const File& in, const Sink& out) {
  std::vector<char> piece(kPieceBytes);
  while (true) {
    const ssize_t got = in.read_some(piece.data(), piece.size());
    if (got < 0) return false;
    if (got == 0) return true;
    if (!out({piece.data(), static_cast<std::size_t>(got)})) return false;
  }
}

bool copy_gzip(const File& in, const Sink& out) {
  z_stream z{};
  constexpr int kGzipWindow = 15 + 16;
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    return false;
  }
  std::vector<char> packed(kPieceBytes);
  const auto feed = [&](std::string_view text, int flush) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    do {
      z.next_out = reinterpret_cast<Bytef*>(packed.data());
      z.avail_out = static_cast<uInt>(packed.size());
      deflate(&z, flush);
      if (!out({packed.data(), packed.size() - z.avail_out})) return false;
    } while (z.avail_out == 0);
    return true;
  };
  const bool whole =
      copy(in, [&](std::string_view text) { return feed(text, Z_NO_FLUSH); }) && feed({}, Z_FINISH);
  deflateEnd(&z);
  return whole;
}

bool copy_zstd(const File& in, const Sink& out) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                     &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::vector<char> packed(kPieceBytes);
  const auto feed = [&](std::string_view text, ZSTD_EndDirective end) {
    ZSTD_inBuffer input{text.data(), text.size(), 0};
    while (true) {
      ZSTD_outBuffer output{packed.data(), packed.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context.get(), &output, &input, end);
      if (ZSTD_isError(left) || !out({packed.data(), output.pos})) return false;
      if (end == ZSTD_e_end ? left == 0 : input.pos == input.size) return true;
    }
  };
  return copy(in, [&](std::string_view text) { return feed(text, ZSTD_e_continue); }) &&
         feed({}, ZSTD_e_end);
}

/// A stream over whatever `fill` puts into a buffer: bytes, 0 at the end, -1 on an error.
class FilledInput final : public std::streambuf {
 public:
  using Fill = std::function<ssize_t(char*, std::size_t)>;
  explicit FilledInput(Fill fill) : fill_(std::move(fill)), buffer_(kPieceBytes) {}

 protected:
  int_type underflow() override {
    const ssize_t got = fill_(buffer_.data(), buffer_.size());
    if (got < 0) throw std::ios_base::failure("unreadable");  // the stream turns it into bad()
    if (got == 0) return traits_type::eof();
    setg(buffer_.data(), buffer_.data(), buffer_.data() + got);
    return traits_type::to_int_type(buffer_.front());
  }

 private:
  Fill fill_;
  std::vector<char> buffer_;
};

class OwningStream final : public std::istream {
 public:
  explicit OwningStream(FilledInput::Fill fill) : std::istream(nullptr), input_(std::move(fill)) {
    rdbuf(&input_);
  }

 private:
  FilledInput input_;
};

FilledInput::Fill gunzip(const std::string& path) {
  const std::shared_ptr<gzFile_s> file(::gzopen(path.c_str(), "rb"), [](gzFile f) {
    if (f != nullptr) ::gzclose(f);
  });
  return [file](char* to, std::size_t size) -> ssize_t {
    return ::gzread(file.get(), to, static_cast<unsigned>(size));
  };
}

FilledInput::Fill unzstd(std::shared_ptr<File> file) {
  struct State {
    std::shared_ptr<ZSTD_DCtx> context{ZSTD_createDCtx(), &ZSTD_freeDCtx};
    std::vector<char> packed = std::vector<char>(kPieceBytes);
    ZSTD_inBuffer input{nullptr, 0, 0};
    std::size_t wanted = 0;  ///< 0: between frames
  };
  const auto state = std::make_shared<State>();
  return [file = std::move(file), state](char* to, std::size_t size) -> ssize_t {
    ZSTD_outBuffer output{to, size, 0};
    while (output.pos == 0) {
      if (state->input.pos == state->input.size) {
        const ssize_t got = file->read_some(state->packed.data(), state->packed.size());
        if (got < 0 || (got == 0 && state->wanted != 0)) return -1;
        if (got == 0) return 0;
        state->input = {state->packed.data(), static_cast<std::size_t>(got), 0};
      }
      state->wanted = ZSTD_decompressStream(state->context.get(), &output, &state->input);
      if (ZSTD_isError(state->wanted)) return -1;
    }
    return static_cast<ssize_t>(output.pos);
  };
}

}  // namespace

Error file_error(std::string_view doing, const std::string& path) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  return Error(code, "cannot " + std::string(doing) + " " + path + ": " + std::strerror(errno));
}

std::string_view name_of(FileCodec codec) noexcept {
  switch (codec) {
    case FileCodec::kNone:
      return "none";
    case FileCodec::kGzip:
      return "gzip";
    case FileCodec::kZstd:
      return "zstd";
  }
  return "";
}

std::string_view suffix_of(FileCodec codec) noexcept {
  switch (codec) {
    case FileCodec::kNone:
      return "";
    case FileCodec::kGzip:
      return ".gz";
    case FileCodec::kZstd:
      return ".zst";
  }
  return "";
}

Result<FileCodec> file_codec_named(std::string_view name) {
  for (const auto codec : {FileCodec::kNone, FileCodec::kGzip, FileCodec::kZstd}) {
    if (name == name_of(codec)) return codec;
  }
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(name) + "' is no compression; there are none, gzip and zstd");
}

Result<FileSum> sum_of(const std::string& path) {
  const File file(path, O_RDONLY);
  if (!file.is_open()) return fail(file_error("read", path));
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  FileSum sum;
  const bool whole = copy(file, [&](std::string_view piece) {
    sum.bytes += piece.size();
    return XXH3_64bits_update(state.get(), piece.data(), piece.size()) == XXH_OK;
  });
  if (!whole) return fail(file_error("read", path));
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits_digest(state.get())));
  sum.xxh3 = hex.data();
  return sum;
}

Status compress_file(const std::string& from, const std::string& to, FileCodec codec) {
  const File in(from, O_RDONLY);
  if (!in.is_open()) return fail(file_error("read", from));
  const File out(to, O_WRONLY | O_CREAT | O_TRUNC);
  if (!out.is_open()) return fail(file_error("write", to));
  const Sink sink = [&](std::string_view bytes) { return out.write_all(bytes); };
  errno = 0;
  const bool whole = codec == FileCodec::kGzip   ? copy_gzip(in, sink)
                     : codec == FileCodec::kZstd ? copy_zstd(in, sink)
                                                 : copy(in, sink);
  if (!whole || ::fsync(out.fd()) != 0) return fail(file_error("write all of", to));
  return {};
}

Result<std::unique_ptr<std::istream>> open_compressed(const std::string& path, FileCodec codec) {
  auto file = std::make_shared<File>(path, O_RDONLY);
  if (!file->is_open()) return fail(file_error("read", path));
  FilledInput::Fill fill;
  if (codec == FileCodec::kGzip) fill = gunzip(path);
  if (codec == FileCodec::kZstd) fill = unzstd(std::move(file));
  if (codec == FileCodec::kNone) {
    fill = [file](char* to, std::size_t size) { return file->read_some(to, size); };
  }
  return std::make_unique<OwningStream>(std::move(fill));
}

Status sync_path(const std::string& path) {
  const File file(path, O_RDONLY);
  if (!file.is_open() || ::fsync(file.fd()) != 0) return fail(file_error("sync", path));
  return {};
}

Status append_synced(const std::string& path, std::string_view text) {
  const File file(path, O_WRONLY | O_CREAT | O_APPEND);
  if (!file.is_open()) return fail(file_error("write", path));
  if (!file.write_all(text) || ::fsync(file.fd()) != 0) {
    return fail(file_error("write all of", path));
  }
  return {};
}

}  // namespace runnel::tools
