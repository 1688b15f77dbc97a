// The one description of a message's fields, used to read, to write and (in tests) to fill it.
//
// Every struct of a message has `void describe(Fields& f)`, which names its fields in wire order:
//
//   void Partition::describe(Fields& f) {
//     f(index);
//     f(epoch, from(9));                  // only in versions 9 and later
//     f.nullable(metadata, from(6));      // an optional that may be null in 6 and later only
//     f.tags({tag(0, rack, from(12))});   // closes the struct: known tagged fields
//   }
//
// The C++ type says what is on the wire:
//   bool, integers, enums, Strong  big-endian, of their size; bool is a byte
//   double                         8 bytes; Uuid 16 bytes
//   std::string, std::string_view  string: 2-byte length, or compact: unsigned varint length + 1
//   Bytes                          bytes: 4-byte length, or compact
//   std::vector<T>                 array: 4-byte count, or compact
//   std::optional<one of these three>  the same, where length -1 (compact 0) is null
//   std::optional<a struct>        a byte, -1 for null
//   a struct                       its fields
// Flexible versions (ApiInfo::first_flexible) use the compact forms and end every struct with
// tagged fields; other versions have no tags. A field that a version lacks is left at its default
// when read and passed over when written.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "protocol/base/buffer.h"
#include "protocol/base/strong.h"
#include "protocol/base/uuid.h"
#include "protocol/kafka/api.h"

namespace runnel::protocol::kafka {

/// Versions `first` to `last` of a message, both included.
struct Versions {
  std::int16_t first = 0;
  std::int16_t last = INT16_MAX;
};
[[nodiscard]] constexpr Versions from(std::int16_t first) noexcept {
  return {first, INT16_MAX};
}
[[nodiscard]] constexpr Versions until(std::int16_t last) noexcept {
  return {0, last};
}
[[nodiscard]] constexpr Versions only(std::int16_t first, std::int16_t last) noexcept {
  return {first, last};
}

/// Record batches in a Fetch response. Instead of the bytes themselves a server may give their
/// number only: the writer then leaves a gap, to be filled by the sender (see Frame in codec.h).
struct Records {
  std::optional<Bytes> bytes = Bytes{};  ///< a view, see codec.h; null is rare but allowed
  std::uint32_t gap_bytes = 0;           ///< if not 0, `bytes` is empty and so many go here
};

class Fields;

/// A tagged field: present on the wire only if it differs from its default.
struct Tag {
  std::uint32_t number;
  bool is_default;
  Versions versions;
  void* field;
  void (*describe)(Fields&, void*);
};

/// What a description is applied to. After a failure ok() is false and the rest does nothing.
class Fields {
 public:
  Fields(std::int16_t version, bool flexible) : version_(version), flexible_(flexible) {}
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::int16_t version() const noexcept { return version_; }
  [[nodiscard]] bool is_flexible() const noexcept { return flexible_; }

  /// A field that all versions, or those given, have.
  template <class T>
  void operator()(T& field) {
    one(field, true);
  }
  template <class T>
  void operator()(T& field, Versions versions) {
    if (in(versions)) one(field, true);
  }
  /// A field of `versions` that may be null in `null_versions` only. Where it may not, null is
  /// written as empty.
  template <class T>
  void nullable(std::optional<T>& field, Versions null_versions, Versions versions = {}) {
    if (in(versions)) one(field, in(null_versions));
  }
  /// The end of a struct. Numbers ascend.
  void tags(std::initializer_list<Tag> known = {}) {
    if (flexible_ && ok_) tagged(known.begin(), known.end());
  }

 protected:
  enum class Shape { kText, kBytes, kArray };
  static constexpr std::int32_t kNull = -1;

  ~Fields() = default;

  virtual void number(std::int8_t& value) = 0;
  virtual void number(std::int16_t& value) = 0;
  virtual void number(std::int32_t& value) = 0;
  virtual void number(std::int64_t& value) = 0;
  virtual void boolean(bool& value) = 0;
  /// The length of what follows, or kNull: the given one when writing, else the one to take over.
  /// `element_bytes` is what each element will take in memory.
  virtual std::int32_t length(Shape shape, std::int32_t given, bool null_allowed,
                              std::size_t element_bytes) = 0;
  /// Whether a struct that can be null is there.
  virtual bool presence(bool given) = 0;
  /// `size` bytes of content: `given` when writing, else those to take over.
  virtual Bytes content(Bytes given, std::size_t size) = 0;
  virtual void records(Records& value) { one(value.bytes, true); }
  virtual void tagged(const Tag* first, const Tag* last) = 0;

  bool ok_ = true;

  [[nodiscard]] bool in(Versions v) const noexcept {
    return version_ >= v.first && version_ <= v.last;
  }

 private:
  template <class T>
  void one(T& v, bool) {
    if constexpr (std::is_integral_v<T>) {
      number(v);
    } else if constexpr (std::is_enum_v<T>) {
      auto rep = static_cast<std::underlying_type_t<T>>(v);
      number(rep);
      assign(v, static_cast<T>(rep));
    } else {
      v.describe(*this);
    }
  }
  template <class Kind, class Rep>
  void one(Strong<Kind, Rep>& v, bool) {
    Rep rep = v.value();
    number(rep);
    assign(v, Strong<Kind, Rep>(rep));
  }
  void one(bool& v, bool) { boolean(v); }
  void one(double& v, bool) {
    auto bits = std::bit_cast<std::int64_t>(v);
    const auto before = bits;
    number(bits);
    if (bits != before) v = std::bit_cast<double>(bits);
  }
  void one(Uuid& v, bool) {
    Uuid read;
    const Bytes b = content(std::as_bytes(std::span(v.bytes)), read.bytes.size());
    if (b.size() != read.bytes.size()) return;
    std::memcpy(read.bytes.data(), b.data(), b.size());
    assign(v, read);
  }
  void one(Records& v, bool) { records(v); }
  void one(std::string& v, bool) { sized(v); }
  void one(std::string_view& v, bool) { sized(v); }
  void one(Bytes& v, bool) { sized(v); }
  template <class T>
  void one(std::vector<T>& v, bool) {
    sized(v);
  }
  template <class T>
  void one(std::optional<T>& v, bool null_allowed) {
    if constexpr (requires(T t) { t.describe(std::declval<Fields&>()); }) {
      if (!presence(v.has_value())) return clear(v);
      if (!v) v.emplace();
      one(*v, true);
    } else {
      const std::int32_t given = v ? static_cast<std::int32_t>(v->size()) : kNull;
      const std::int32_t size = length(kShapeOf<T>, given, null_allowed, kMemoryOf<T>);
      if (size == kNull) return clear(v);
      if (!v) v.emplace();
      take(*v, size);
    }
  }

  template <class T>
  void sized(T& v) {
    take(v, length(kShapeOf<T>, static_cast<std::int32_t>(v.size()), false, kMemoryOf<T>));
  }
  void take(std::string& v, std::int32_t size) {
    const Bytes b = content(as_bytes(v), static_cast<std::size_t>(size));
    if (as_text(b).data() != v.data()) v.assign(as_text(b));
  }
  void take(std::string_view& v, std::int32_t size) {
    const Bytes b = content(as_bytes(v), static_cast<std::size_t>(size));
    if (as_text(b).data() != v.data()) v = as_text(b);
  }
  void take(Bytes& v, std::int32_t size) {
    const Bytes b = content(v, static_cast<std::size_t>(size));
    if (b.data() != v.data()) v = b;
  }
  template <class T>
  void take(std::vector<T>& v, std::int32_t size) {
    if (v.size() != static_cast<std::size_t>(size)) v.resize(static_cast<std::size_t>(size));
    for (T& element : v) {
      if (!ok_) return;
      one(element, true);
    }
  }

  // Describing a message in order to write it must not change it: what is equal is not assigned.
  template <class T>
  static void assign(T& to, const T& value) {
    if (to != value) to = value;
  }
  template <class T>
  static void clear(std::optional<T>& v) {
    if (v) v.reset();
  }

  template <class T>
  static constexpr bool kIsText =
      std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;
  template <class T>
  static constexpr Shape kShapeOf = kIsText<T>                 ? Shape::kText
                                    : std::is_same_v<T, Bytes> ? Shape::kBytes
                                                               : Shape::kArray;
  /// What one element takes in memory of its own.
  template <class T>
  static constexpr std::size_t kMemoryOf =
      std::is_same_v<T, Bytes> || std::is_same_v<T, std::string_view>
          ? 0
          : sizeof(typename T::value_type);

  const std::int16_t version_;
  const bool flexible_;
};

/// A tagged field of `versions`.
template <class T>
[[nodiscard]] Tag tag(std::uint32_t number, T& field, Versions versions = {},
                      const std::type_identity_t<T>& default_value = T{}) {
  return {number, field == default_value, versions, &field,
          [](Fields& f, void* p) { f(*static_cast<T*>(p)); }};
}

enum class Side : std::uint8_t { kRequest, kResponse };

/// What makes a struct a message: `struct ProduceRequest : RequestOf<ApiKey::kProduce>`.
template <ApiKey key>
struct RequestOf {
  static constexpr ApiKey kApi = key;
  static constexpr Side kSide = Side::kRequest;
};
template <ApiKey key>
struct ResponseOf {
  static constexpr ApiKey kApi = key;
  static constexpr Side kSide = Side::kResponse;
};

}  // namespace runnel::protocol::kafka
