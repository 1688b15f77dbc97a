// Aggregate states of no fixed size. They are stored apart from the rest of a group, in chunks, so
// that a large one is not written anew for each value.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.h"
#include "storage/views/types/value.h"

namespace runnel::storage::views {

/// Not thread safe. merge() is associative and commutative in what the readers below it answer.
/// The bytes of a state depend on the values added and their order, never on when it was saved.
class Sketch {
 public:
  virtual ~Sketch() = default;
  /// `encoded`: a value as key_encoding.h writes it, never NULL; `value`: the same value.
  virtual void add(std::string_view encoded, const Value& value) = 0;
  /// `other` is of the same class and kind.
  virtual void merge(const Sketch& other) = 0;

  /// Chunks that changed since they were saved, ascending.
  virtual void dirty_chunks(std::vector<std::uint32_t>& out) const = 0;
  virtual void encode_chunk(std::uint32_t chunk, ByteWriter& to) const = 0;
  virtual void saved() = 0;
  /// The chunks in their order, into an empty state. False: not such bytes.
  [[nodiscard]] virtual bool load_chunk(Bytes bytes) = 0;
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
};

}  // namespace runnel::storage::views
