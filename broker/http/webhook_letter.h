// Dead letters of webhooks that go out: a record that failed too often, as a record of the
// webhook's own topic. docs/formats/webhooks.md says what is in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/hooks/deliveries.h"
#include "broker/hooks/webhook.h"
#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/record_batch/record_batch.h"
#include "storage/store.h"

namespace runnel::broker::http {

/// A longer key is left out of a letter that is reduced.
inline constexpr std::size_t kMaxLetterKeyBytes = 16u << 10;
/// Of the reason, bytes; and in a letter that is reduced to the least.
inline constexpr std::size_t kMaxLetterErrorBytes = 1u << 10;
inline constexpr std::size_t kMaxShortErrorBytes = 100;
/// A topic whose max.message.bytes is so much or more takes the least form of any letter. One that
/// has less may refuse it in any form: its webhook tells so as its problem, the record's key waits,
/// and it is tried again until the topic takes it.
inline constexpr std::size_t kMinLettersTopicBytes = 1u << 10;

/// The same letter in its forms, the first that the topic takes to be stored: with all that the
/// record has; with its key, place, sizes and the reason; without its key, too, and with the
/// reason's beginning. kRecordTooLarge: no topic takes this one.
using Letter = std::vector<Result<Buffer>>;
/// `record`: null: it is damaged, and the letter has its place and the reason in one form alone.
[[nodiscard]] Letter make_letter(const protocol::Record* record, const hooks::Webhook& webhook,
                                 hooks::RecordPlace place, std::string_view error, Timestamp now);

/// Where a webhook's letters go: the first partition of their topic, which is made if it is not
/// there. Blocking.
[[nodiscard]] Result<storage::PartitionRef> letters_partition(storage::Store& store,
                                                              std::string_view webhook);

}  // namespace runnel::broker::http
