#include "bench/floor/files.h"

#include <fcntl.h>
#include <unistd.h>

#include "bench/measure.h"

namespace runnel::bench {

Result<ScratchFile> ScratchFile::make(const std::string& directory, std::uint64_t bytes) {
  std::string path = directory + "/floor-XXXXXX";
  ScratchFile file(::mkostemp(path.data(), O_CLOEXEC));
  if (file.fd_ < 0) return system_error("cannot make a file in " + directory);
  if (::unlink(path.c_str()) != 0) return system_error("cannot unlink " + path);
  errno = ::posix_fallocate(file.fd_, 0, static_cast<off_t>(bytes));
  if (errno != 0) {
    return system_error("cannot reserve " + std::to_string(bytes) + " bytes in " + directory);
  }
  if (::fsync(file.fd_) != 0) return system_error("fsync");
  return file;
}

ScratchFile::~ScratchFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status ScratchFile::sync() const {
  if (::fdatasync(fd_) != 0) return system_error("fdatasync");
  return {};
}

}  // namespace runnel::bench
