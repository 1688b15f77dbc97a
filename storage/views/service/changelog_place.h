// How far a view's changelog topic is: an entry of the store's state map, which changes in the same
// commit as the topic.
//
//   key    "view-changelogs/", view 8 hex digits, ".", generation 4 hex digits, "/"
//   value  format u8 = 1, topic id 16 bytes, parts u8 (1: told, 2: next),
//          told: partitions uv, of each partition uv, offset uv; next: the same, after block
//
// Little-endian; uv and block as in view-state.md. docs/formats/changelogs.md has an example.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/uuid.h"
#include "storage/views/engine/state_keys.h"
#include "storage/views/worker/topic_views.h"

namespace runnel::storage::views {

inline constexpr std::string_view kChangelogsPrefix = "view-changelogs/";

struct ChangelogPlace {
  Uuid topic;  ///< a topic of the same name with another id has nothing yet
  /// The topic says what the view's rows were there; nullopt: it says nothing.
  std::optional<SourceOffsets> told;
  /// A change that takes several commits: the rows as of here are being told ...
  std::optional<SourceOffsets> next;
  std::string after;  ///< ... and those of groups up to this key have been

  [[nodiscard]] std::string encode() const;
  /// False: no such bytes.
  [[nodiscard]] bool decode(std::string_view value);
};

[[nodiscard]] std::string changelog_key(ViewId id);

}  // namespace runnel::storage::views
