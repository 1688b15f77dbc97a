#include "storage/env/posix_error.h"

#include <cerrno>
#include <system_error>

namespace runnel::storage {
namespace {

std::string_view advice_for(int error_number) {
  switch (error_number) {
    case ENOSPC:
      return "; free space on its file system";
    case EDQUOT:
      return "; raise the disk quota or free space";
    case EACCES:
    case EPERM:
      return "; check its owner and permissions";
    case EROFS:
      return "; mount its file system for writing";
    case EMFILE:
      return "; raise the limit of open files (ulimit -n)";
    case ENFILE:
      return "; raise the system's limit of open files (sysctl fs.file-max)";
    case EIO:
      return "; the device may be failing, see the kernel's log (dmesg)";
    case EFBIG:
      return "; raise the limit of file sizes (ulimit -f)";
    default:
      return "";
  }
}

ErrorCode code_for(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kLowSpace;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

Error posix_error(int error_number, std::string_view action, const std::string& path) {
  std::string message = "cannot ";
  message += action;
  message += ' ';
  message += path;
  message += ": ";
  message += std::generic_category().message(error_number);
  message += advice_for(error_number);
  return {code_for(error_number), std::move(message)};
}

}  // namespace runnel::storage
