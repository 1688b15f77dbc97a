// What the schema registry holds, and what one schema may be.
#pragma once

#include <cstddef>
#include <cstdint>

namespace runnel::broker::schemas {

inline constexpr std::size_t kMaxSchemaBytes = 1u << 20;  ///< of one schema's text
/// Of all texts that have an id, and of what is needed beside them: all of it is kept in memory.
inline constexpr std::size_t kMaxRegistryBytes = 64u << 20;
/// What an entry is charged with besides its text: its places in the maps.
inline constexpr std::size_t kEntryBytes = 256;
/// Texts of JSON Schemas that are kept ready to check records with; one more empties the shelf.
inline constexpr std::size_t kMaxParsedBytes = 2u << 20;
inline constexpr std::size_t kMaxSubjectBytes = 255;
inline constexpr std::size_t kMaxReferences = 100;  ///< of one schema
inline constexpr std::size_t kMaxResolved = 500;    ///< references of references, in all
inline constexpr std::size_t kMaxJsonDepth = 100;   ///< objects and arrays in each other
inline constexpr std::size_t kMaxDifferences = 50;  ///< told of two schemas
/// Pairs of parts that are compared for one check. Unions multiply; nobody waits for ever.
inline constexpr std::size_t kMaxComparisons = 100'000;
/// Parts of a schema that lead into each other while a value is looked at.
inline constexpr std::size_t kMaxSchemaDepth = 200;
inline constexpr std::int64_t kMaxPatternMemory = 1 << 20;  ///< bytes, of one regular expression

}  // namespace runnel::broker::schemas
