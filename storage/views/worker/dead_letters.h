// Dead letters on their way into a topic: the fold writes them to the view's state, in the same
// write as the cursor; from there they go to `__dlq.<view>` and out of the state. How far that is
// stands in the store's state map and changes in the same commit as the topic, so each letter of a
// generation is in the topic once, whatever crashes when.
//
//   key    "view-letters/", view 8 hex digits, ".", generation 4 hex digits, "/", partition
//   value  format u8 = 1, offset i64: letters of records before it are in the topic; little-endian
//
// docs/formats/dead-letters.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/store.h"
#include "storage/views/engine/state_keys.h"

namespace runnel::storage::views {

inline constexpr std::string_view kLettersPrefix = "view-letters/";

/// The topic of a view's dead letters: what no topic's name can have is '_' there.
[[nodiscard]] std::string dead_letter_topic(std::string_view view);
/// Of the store's state map: begins all keys of a view's generation.
[[nodiscard]] std::string position_prefix(std::string_view prefix, ViewId id);
/// Whose key it is; nullopt: nobody's.
[[nodiscard]] std::optional<ViewId> position_owner(std::string_view prefix, std::string_view key);

struct DeadLetter {
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
  std::string code;
  std::string path;
  std::int64_t timestamp = -1;  ///< the record's, in milliseconds
  std::optional<std::string> key;
  std::string value;

  /// `key` and `value` as they stand in a view's state. False: damaged.
  [[nodiscard]] bool decode(std::string_view state_key, std::string_view state_value);
};

/// Where letters come from and go to.
struct LetterRoute {
  ViewId id;
  std::string view;
  std::string source_topic;
};

/// Letters as records of the topic, in one batch. `without_values`: the values are left out, and a
/// header says so.
[[nodiscard]] Result<Buffer> letters_batch(const std::vector<DeadLetter>& letters,
                                           const LetterRoute& route, Timestamp now,
                                           bool without_values);
/// The first partition of the topic, which is created if it is not there.
[[nodiscard]] Result<PartitionRef> letters_partition(Store& store, const std::string& topic);

/// One thread at a time.
class DeadLetters {
 public:
  /// `store`, `state` and `clock` outlive it.
  DeadLetters(Store& store, StateStore& state, Clock& clock, LetterRoute route)
      : store_(store), state_(state), clock_(clock), route_(std::move(route)) {}

  /// Moves everything that is there of partitions [0, partitions). After an error the rest is moved
  /// by the next call.
  [[nodiscard]] Status move(std::uint32_t partitions);

 private:
  [[nodiscard]] Status load();
  [[nodiscard]] Result<bool> move_some(std::uint32_t partition);
  [[nodiscard]] Status send(const std::vector<DeadLetter>& letters);

  Store& store_;
  StateStore& state_;
  Clock& clock_;
  const LetterRoute route_;
  bool loaded_ = false;
  std::map<std::uint32_t, std::int64_t> next_;  ///< by partition: those before are in the topic
  std::map<std::uint32_t, std::int64_t> gone_;  ///< and before this out of the state
};

}  // namespace runnel::storage::views
