#include "storage/env/block_writer.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/assert.h"

namespace runnel::storage {

static_assert(BlockWriter::kBytes % kMaxBlockBytes == 0);

BlockWriter::BlockWriter(std::shared_ptr<File> file, std::uint64_t end)
    : file_(std::move(file)),
      block_(file_->block_bytes()),
      at_(end / block_ * block_),
      used_(end % block_),
      memory_(static_cast<std::byte*>(std::aligned_alloc(kMaxBlockBytes, kBytes))) {
  RUNNEL_ASSERT(memory_ != nullptr);
}

Result<std::unique_ptr<BlockWriter>> BlockWriter::open(std::shared_ptr<File> file,
                                                       std::uint64_t end) {
  RUNNEL_ASSERT(file->block_bytes() > 1);
  std::unique_ptr<BlockWriter> writer(new BlockWriter(std::move(file), end));
  // A whole block, because a direct read asks for that as well; the file may end within it.
  const MutableBytes block(writer->memory_.get(), writer->block_);
  RUNNEL_TRY_ASSIGN(const std::size_t got, writer->file_->read(writer->at_, block));
  if (got >= writer->used_) return writer;
  return fail(ErrorCode::kCorrupt, writer->file_->path() + " ends before byte " +
                                       std::to_string(end) + ", where writing goes on; restore " +
                                       "it from a backup");
}

Status BlockWriter::append(std::span<const iovec> parts) {
  for (const iovec& part : parts) {
    Bytes left(static_cast<const std::byte*>(part.iov_base), part.iov_len);
    while (!left.empty()) {
      const std::size_t fits = std::min(left.size(), kBytes - used_);
      std::memcpy(memory_.get() + used_, left.data(), fits);
      left = left.subspan(fits);
      used_ += fits;
      if (used_ < kBytes) continue;
      RUNNEL_TRY(write_blocks(kBytes));
      used_ = 0;
    }
  }
  if (used_ == 0) return {};
  const std::size_t kept = used_ % block_;
  const std::size_t whole = used_ - kept;
  std::memset(memory_.get() + used_, 0, kept == 0 ? 0 : block_ - kept);
  RUNNEL_TRY(write_blocks(kept == 0 ? whole : whole + block_));
  // write_blocks() moved on by all of it: the last block is to be written again.
  if (kept != 0) at_ -= block_;
  std::memmove(memory_.get(), memory_.get() + whole, kept);
  used_ = kept;
  return {};
}

Status BlockWriter::write_blocks(std::size_t bytes) {
  RUNNEL_TRY(file_->write(at_, Bytes(memory_.get(), bytes)));
  at_ += bytes;
  return {};
}

}  // namespace runnel::storage
