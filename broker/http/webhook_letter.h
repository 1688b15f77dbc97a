// Dead letters of webhooks that go out: a record that failed too often, as a record of the
// webhook's own topic. docs/formats/webhooks.md says what is in it.
#pragma once

#include <string>
#include <string_view>

#include "broker/hooks/deliveries.h"
#include "broker/hooks/webhook.h"
#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::broker::http {

/// A longer key is left out of a letter that is reduced, so that any topic takes it.
inline constexpr std::size_t kMaxLetterKeyBytes = 16u << 10;
/// Of the reason, bytes.
inline constexpr std::size_t kMaxLetterErrorBytes = 1u << 10;

/// The same letter, twice. kRecordTooLarge: no topic takes it.
struct Letter {
  Result<Buffer> whole;    ///< with all that the record has
  Result<Buffer> reduced;  ///< its place, its sizes and the reason, for a topic that takes no more
};
[[nodiscard]] Letter make_letter(const protocol::Record& record, const hooks::Webhook& webhook,
                                 hooks::RecordPlace place, std::string_view error, Timestamp now);

/// Where a webhook's letters go: the first partition of their topic, which is made if it is not
/// there. Blocking.
[[nodiscard]] Result<storage::PartitionRef> letters_partition(storage::Store& store,
                                                              std::string_view webhook);

}  // namespace runnel::broker::http
