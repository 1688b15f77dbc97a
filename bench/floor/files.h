// Files of the floors.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

namespace runnel::bench {

/// A new file with its blocks reserved, which has no name any more and so vanishes by itself.
class ScratchFile {
 public:
  [[nodiscard]] static Result<ScratchFile> make(const std::string& directory, std::uint64_t bytes);
  ScratchFile(ScratchFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ScratchFile& operator=(ScratchFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~ScratchFile();

  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  [[nodiscard]] Status sync() const;

 private:
  explicit ScratchFile(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace runnel::bench
