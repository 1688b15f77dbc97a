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

}  // namespace

Letter make_letter(const protocol::Record& record, const hooks::Webhook& webhook,
                   hooks::RecordPlace place, std::string_view error, Timestamp now) {
  const std::array<std::string, 6> texts{
      std::to_string(place.partition),
      std::to_string(place.offset.value()),
      std::to_string(record.timestamp.value()),
      std::to_string(webhook.max_attempts),
      std::to_string(record.key.value_or("").size()),
      std::to_string(record.value.value_or("").size()),
  };
  const std::vector<protocol::RecordHeader> own{
      {"runnel.webhook", webhook.name},
      {"runnel.topic", webhook.topic},
      {"runnel.partition", texts[0]},
      {"runnel.offset", texts[1]},
      {"runnel.timestamp", texts[2]},
      {"runnel.attempts", texts[3]},
      {"runnel.error", error.substr(0, kMaxLetterErrorBytes)},
  };
  std::vector<protocol::RecordHeader> all(record.headers.begin(), record.headers.end());
  all.insert(all.end(), own.begin(), own.end());
  Letter out{finish({now, record.key, record.value, all}), Buffer()};
  std::vector<protocol::RecordHeader> few = own;
  const bool long_key = record.key && record.key->size() > kMaxLetterKeyBytes;
  if (long_key) few.insert(few.end(), {{"runnel.key", kTooLarge}, {"runnel.key-bytes", texts[4]}});
  if (record.value) {
    few.insert(few.end(), {{"runnel.value", kTooLarge}, {"runnel.value-bytes", texts[5]}});
  }
  if (!record.headers.empty()) few.push_back({"runnel.headers", "left out"});
  out.reduced = finish({now, long_key ? std::nullopt : record.key, std::nullopt, few});
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
