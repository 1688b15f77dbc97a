#include "storage/views/worker/dead_letters.h"

#include <algorithm>
#include <charconv>

#include "protocol/record_batch/record_batch.h"
#include "storage/topic_configs.h"
#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kLettersAtOnce = 1'000;
constexpr std::size_t kBytesAtOnce = 1u << 20;
constexpr std::uint8_t kFormat = 1;

void append_hex(std::uint32_t number, int digits, std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 4 * digits - 4; shift >= 0; shift -= 4) {
    out.push_back(kDigits[(number >> shift) & 0xf]);
  }
}

bool read_hex(std::string_view text, std::uint32_t& number) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  return error == std::errc{} && at == text.data() + text.size();
}

}  // namespace

std::string dead_letter_topic(std::string_view view) {
  std::string topic = "__dlq.";
  for (const char c : view.substr(0, kMaxTopicNameBytes - topic.size())) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    topic.push_back(fits ? c : '_');
  }
  return topic;
}

std::string position_prefix(std::string_view prefix, ViewId id) {
  std::string key(prefix);
  append_hex(id.view, 8, key);
  key.push_back('.');
  append_hex(id.generation, 4, key);
  key.push_back('/');
  return key;
}

std::optional<ViewId> position_owner(std::string_view prefix, std::string_view key) {
  std::uint32_t view = 0;
  std::uint32_t generation = 0;
  if (!key.starts_with(prefix) || key.size() < prefix.size() + 14) return std::nullopt;
  key.remove_prefix(prefix.size());
  if (key[8] != '.' || key[13] != '/' || !read_hex(key.substr(0, 8), view) ||
      !read_hex(key.substr(9, 4), generation)) {
    return std::nullopt;
  }
  return ViewId{view, static_cast<std::uint16_t>(generation)};
}

bool DeadLetter::decode(std::string_view state_key, std::string_view state_value) {
  ByteReader place(as_bytes(state_key));
  place.take(kKeyPrefixBytes);
  partition = place.be<std::uint32_t>();
  offset = place.be<std::int64_t>();
  ByteReader in(as_bytes(state_value));
  const auto format = in.le<std::uint8_t>();
  code = in.text();
  path = in.text();
  timestamp = in.le<std::int64_t>();
  const bool has_key = in.le<std::uint8_t>() != 0;
  key = std::string(in.text());
  if (!has_key) key.reset();
  value = in.text();
  return place.at_end() && in.at_end() && format == kFormat;
}

Result<Buffer> letters_batch(const std::vector<DeadLetter>& letters, const LetterRoute& route,
                             Timestamp now, bool without_values) {
  protocol::BatchBuilder builder;
  const std::string generation = std::to_string(route.id.generation);
  for (const DeadLetter& letter : letters) {
    const std::string partition = std::to_string(letter.partition);
    const std::string offset = std::to_string(letter.offset);
    const std::string timestamp = std::to_string(letter.timestamp);
    std::vector<protocol::RecordHeader> headers{{"runnel.view", route.view},
                                                {"runnel.generation", generation},
                                                {"runnel.topic", route.source_topic},
                                                {"runnel.partition", partition},
                                                {"runnel.offset", offset},
                                                {"runnel.timestamp", timestamp},
                                                {"runnel.error", letter.code}};
    if (!letter.path.empty()) headers.push_back({"runnel.path", letter.path});
    if (without_values) headers.push_back({"runnel.value", "too large"});
    protocol::NewRecord record{now, letter.key, std::nullopt, headers};
    if (!without_values) record.value = letter.value;
    builder.add(record);
  }
  return builder.finish();
}

Result<PartitionRef> letters_partition(Store& store, const std::string& topic) {
  auto found = store.partition(topic, PartitionIndex(0));
  if (found || found.error().code() != ErrorCode::kUnknownTopic) return found;
  TopicSpec spec;
  spec.name = topic;
  spec.configs["max.message.bytes"] = std::to_string(kLargestMaxMessageBytes);
  const auto made = store.create_topic(spec);
  if (!made && made.error().code() != ErrorCode::kTopicExists) return fail(made.error());
  return store.partition(topic, PartitionIndex(0));
}

Status DeadLetters::load() {
  const std::string prefix = position_prefix(kLettersPrefix, route_.id);
  RUNNEL_TRY_ASSIGN(const StateEntries entries, store_.read_state(prefix));
  for (const auto& [key, value] : entries) {
    const std::string_view number = std::string_view(key).substr(prefix.size());
    std::uint32_t partition = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), partition);
    ByteReader in(as_bytes(value));
    const auto format = in.le<std::uint8_t>();
    const auto next = in.le<std::int64_t>();
    if (parsed.ec != std::errc{} || format != kFormat || !in.at_end()) {
      return fail(ErrorCode::kCorrupt, "the entry " + key + " is damaged");
    }
    next_[partition] = next;
  }
  loaded_ = true;
  return {};
}

Status DeadLetters::move(std::uint32_t partitions) {
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    while (true) {
      RUNNEL_TRY_ASSIGN(const bool more, move_some(partition));
      if (!more) break;
    }
  }
  return {};
}

Result<bool> DeadLetters::move_some(std::uint32_t partition) {
  std::vector<DeadLetter> letters;
  StateWrites taken;
  std::size_t bytes = 0;
  bool sound = true;
  const std::string prefix = partition_key(route_.id, Space::kDeadLetters, partition);
  std::int64_t& gone = gone_[partition];
  char offset[8];
  store_be(offset, gone);
  // Not from the beginning: what was erased is long to step over.
  const std::string from = prefix + std::string(offset, sizeof offset);
  std::int64_t last = gone;
  if (!loaded_) RUNNEL_TRY(load());
  const std::int64_t sent = next_.contains(partition) ? next_[partition] : 0;
  RUNNEL_TRY(
      state_.scan(from, behind_prefix(prefix), [&](std::string_view key, std::string_view value) {
        DeadLetter letter;
        sound = letter.decode(key, value);
        if (!sound) return false;
        taken.erase(key);
        last = letter.offset + 1;
        if (letter.offset < sent) return taken.count() < kLettersAtOnce;
        bytes += letter.value.size() + letter.path.size();
        letters.push_back(std::move(letter));
        return letters.size() < kLettersAtOnce && bytes < kBytesAtOnce;
      }));
  if (!sound) {
    return fail(ErrorCode::kCorrupt, "a dead letter of view " + route_.view + " is damaged");
  }
  if (taken.empty()) return false;
  if (!letters.empty()) RUNNEL_TRY(send(letters));
  RUNNEL_TRY(state_.apply(taken));
  gone = last;
  return true;
}

Status DeadLetters::send(const std::vector<DeadLetter>& letters) {
  const std::string topic = dead_letter_topic(route_.view);
  RUNNEL_TRY_ASSIGN(const PartitionRef partition, letters_partition(store_, topic));
  const auto commit = [&](bool without_values) -> Status {
    CommitRequest request;
    RUNNEL_TRY_ASSIGN(Buffer batch, letters_batch(letters, route_, clock_.now(), without_values));
    request.appends.push_back({partition, std::move(batch), {}, std::nullopt});
    std::map<std::uint32_t, std::int64_t> next;
    for (const DeadLetter& letter : letters) next[letter.partition] = letter.offset + 1;
    for (const auto& [number, offset] : next) {
      ByteWriter value;
      value.le(kFormat).le(offset);
      request.state.push_back(
          {position_prefix(kLettersPrefix, route_.id) + std::to_string(number), value.take()});
    }
    loaded_ = false;  // until it is known what was committed, whatever ends this
    CommitOutcome outcome = store_.commit_and_wait(std::move(request));
    if (!outcome.result) return fail(outcome.result.error());
    for (const auto& [number, offset] : next) next_[number] = offset;
    loaded_ = true;
    return {};
  };
  const Status sent = commit(false);
  if (sent || sent.error().code() != ErrorCode::kRecordTooLarge) return sent;
  if (letters.size() == 1) return commit(true);
  for (const DeadLetter& letter : letters) RUNNEL_TRY(send({letter}));
  return {};
}

}  // namespace runnel::storage::views
