#include "tools/backup/offline.h"

namespace runnel::tools {

storage::StoreOptions options_for_copy(const std::string& data) {
  // How long a producer may be idle is the broker's to say, and not known here.
  constexpr std::chrono::hours kNever{1'000'000};
  storage::StoreOptions options;
  options.directory = data;
  options.background = false;
  options.producer_expiry = kNever;
  return options;
}

}  // namespace runnel::tools
