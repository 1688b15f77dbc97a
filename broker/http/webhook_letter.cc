#include "broker/http/webhook_letter.h"

#include <array>
#include <utility>
#include <vector>

#include "storage/topic_configs.h"

namespace runnel::broker::http {
namespace {

constexpr std::string_view kTooLarge = "too large";

Result<Buffer> finish(const protocol::NewRecord& record) {
  protocol::BatchBuilder builder;
  builder.add(record);
  auto batch = builder.finish();
  // More headers than a record may have, now that the letter's own are among them.
  if (!batch) return fail(ErrorCode::kRecordTooLarge, batch.error().message());
  return batch;
}

/// Of a letter that has less than its record: what is left out, and how much it is.
Result<Buffer> reduced(const protocol::Record& record, std::vector<protocol::RecordHeader> own,
                       bool with_key, Timestamp now) {
  const std::string key_bytes = std::to_string(record.key.value_or("").size());
  const std::string value_bytes = std::to_string(record.value.value_or("").size());
  if (record.key && !with_key) {
    own.insert(own.end(), {{"runnel.key", kTooLarge}, {"runnel.key-bytes", key_bytes}});
  }
  if (record.value) {
    own.insert(own.end(), {{"runnel.value", kTooLarge}, {"runnel.value-bytes", value_bytes}});
  }
  if (!record.headers.empty()) own.push_back({"runnel.headers", "left out"});
  return finish({now, with_key ? record.key : std::nullopt, std::nullopt, own});
}

}  // namespace

Letter make_letter(const protocol::Record* record, const hooks::Webhook& webhook,
                   hooks::RecordPlace place, std::string_view error, Timestamp now) {
  const std::array<std::string, 4> texts{
      std::to_string(place.partition),
      std::to_string(place.offset.value()),
      std::to_string(record != nullptr ? record->timestamp.value() : 0),
      std::to_string(webhook.max_attempts),
  };
  std::vector<protocol::RecordHeader> own{
      {"runnel.webhook", webhook.name}, {"runnel.topic", webhook.topic},
      {"runnel.partition", texts[0]},   {"runnel.offset", texts[1]},
      {"runnel.attempts", texts[3]},    {"runnel.error", error.substr(0, kMaxShortErrorBytes)},
  };
  Letter out;
  if (record == nullptr) {
    own.push_back({"runnel.record", "damaged"});
    out.push_back(finish({now, std::nullopt, std::nullopt, own}));
    return out;
  }
  own.insert(own.begin() + 4, {"runnel.timestamp", texts[2]});
  std::vector<protocol::RecordHeader> least = own;
  own.back().value = error.substr(0, kMaxLetterErrorBytes);
  std::vector<protocol::RecordHeader> all(record->headers.begin(), record->headers.end());
  all.insert(all.end(), own.begin(), own.end());
  out.push_back(finish({now, record->key, record->value, all}));
  const bool long_key = record->key && record->key->size() > kMaxLetterKeyBytes;
  out.push_back(reduced(*record, own, !long_key, now));
  out.push_back(reduced(*record, std::move(least), false, now));
  return out;
}

Result<storage::PartitionRef> letters_partition(storage::Store& store, std::string_view webhook) {
  const std::string topic = hooks::letters_topic(webhook);
  auto found = store.partition(topic, PartitionIndex(0));
  if (found || found.error().code() != ErrorCode::kUnknownTopic) return found;
  storage::TopicSpec spec;
  spec.name = topic;
  spec.configs["max.message.bytes"] = std::to_string(storage::kLargestMaxMessageBytes);
  const auto made = store.create_topic(spec);
  if (!made && made.error().code() != ErrorCode::kTopicExists) return fail(made.error());
  return store.partition(topic, PartitionIndex(0));
}

}  // namespace runnel::broker::http
