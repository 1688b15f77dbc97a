#include "storage/index/rocksdb_files.h"

#include <array>
#include <cstring>

namespace runnel::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

/// Appends smaller than this are gathered: RocksDB writes its manifest a few bytes at a time.
constexpr std::size_t kAppendBuffer = 64 * 1024;

IOStatus read_into(const File& file, std::uint64_t position, std::size_t length, Slice* result,
                   char* scratch) {
  const auto got = file.read(position, {reinterpret_cast<std::byte*>(scratch), length});
  if (!got) {
    *result = Slice();
    return to_io_status(got.error());
  }
  *result = Slice(scratch, *got);
  return IOStatus::OK();
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::shared_ptr<File> file) : file_(std::move(file)) {}

  IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    IOStatus status = read_into(*file_, position_, n, result, scratch);
    position_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t n) override {
    position_ += n;
    return IOStatus::OK();
  }
  IOStatus InvalidateCache(std::size_t offset, std::size_t length) override {
    file_->dont_need(offset, length);
    return IOStatus::OK();
  }

 private:
  const std::shared_ptr<File> file_;
  std::uint64_t position_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::shared_ptr<File> file) : file_(std::move(file)) {}

  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read_into(*file_, offset, n, result, scratch);
  }
  IOStatus Prefetch(std::uint64_t offset, std::size_t n, const IOOptions&,
                    IODebugContext*) override {
    file_->will_need(offset, n);
    return IOStatus::OK();
  }
  IOStatus InvalidateCache(std::size_t offset, std::size_t length) override {
    file_->dont_need(offset, length);
    return IOStatus::OK();
  }

 private:
  const std::shared_ptr<File> file_;
};

/// RocksDB calls one writable file from one thread at a time.
class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::shared_ptr<File> file, std::uint64_t size, const rocksdb::FileOptions& options)
      : rocksdb::FSWritableFile(options), file_(std::move(file)), written_(size) {}

  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    if (!failure_.ok()) return failure_;
    if (buffer_.size() + data.size() <= kAppendBuffer) {
      buffer_.append(data.data(), data.size());
      return IOStatus::OK();
    }
    return write_out(data);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return write_out(Slice()); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    IOStatus status = write_out(Slice());
    return status.ok() ? remember(file_->sync()) : status;
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return write_out(Slice()); }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    IOStatus status = write_out(Slice());
    if (!status.ok()) return status;
    status = remember(file_->truncate(size));
    if (status.ok()) written_ = size;
    return status;
  }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    return written_ + buffer_.size();
  }
  IOStatus InvalidateCache(std::size_t offset, std::size_t length) override {
    file_->dont_need(offset, length);
    return IOStatus::OK();
  }

 private:
  /// Writes what is gathered, then `more`, in one call.
  IOStatus write_out(const Slice& more) {
    if (!failure_.ok()) return failure_;
    const std::uint64_t length = buffer_.size() + more.size();
    if (length == 0) return IOStatus::OK();
    std::array<iovec, 2> parts{iovec{buffer_.data(), buffer_.size()},
                               iovec{const_cast<char*>(more.data()), more.size()}};
    IOStatus status = remember(file_->write(written_, parts));
    if (!status.ok()) return status;
    written_ += length;
    buffer_.clear();
    return status;
  }
  IOStatus remember(const Status& status) {
    if (!status) failure_ = to_io_status(status.error());
    return failure_;
  }

  const std::shared_ptr<File> file_;
  std::uint64_t written_;  // bytes handed to the file
  std::string buffer_;     // bytes not handed to it yet
  IOStatus failure_;       // the first failure; final
};

class RandomRwFile final : public rocksdb::FSRandomRWFile {
 public:
  explicit RandomRwFile(std::shared_ptr<File> file) : file_(std::move(file)) {}

  IOStatus Write(std::uint64_t offset, const Slice& data, const IOOptions&,
                 IODebugContext*) override {
    return to_io_status(file_->write(offset, as_bytes({data.data(), data.size()})));
  }
  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read_into(*file_, offset, n, result, scratch);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return to_io_status(file_->sync()); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const std::shared_ptr<File> file_;
};

}  // namespace

IOStatus to_io_status(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return IOStatus::PathNotFound(error.message());
    case ErrorCode::kLowSpace:
      return IOStatus::NoSpace(error.message());
    default:
      return IOStatus::IOError(error.message());
  }
}

IOStatus to_io_status(const Status& status) {
  return status ? IOStatus::OK() : to_io_status(status.error());
}

std::unique_ptr<rocksdb::FSSequentialFile> make_sequential_file(std::shared_ptr<File> file) {
  return std::make_unique<SequentialFile>(std::move(file));
}

std::unique_ptr<rocksdb::FSRandomAccessFile> make_random_access_file(std::shared_ptr<File> file) {
  return std::make_unique<RandomAccessFile>(std::move(file));
}

std::unique_ptr<rocksdb::FSWritableFile> make_writable_file(std::shared_ptr<File> file,
                                                            std::uint64_t size,
                                                            const rocksdb::FileOptions& options) {
  return std::make_unique<WritableFile>(std::move(file), size, options);
}

std::unique_ptr<rocksdb::FSRandomRWFile> make_random_rw_file(std::shared_ptr<File> file) {
  return std::make_unique<RandomRwFile>(std::move(file));
}

}  // namespace runnel::storage
