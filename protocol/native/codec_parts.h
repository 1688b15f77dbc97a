// What the codec's source files share. Internal to protocol/native: includes FlatBuffers.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.h"
#include "protocol/native/messages.h"
#include "protocol/native/runnel_generated.h"

namespace runnel::protocol::native::detail {

using Builder = flatbuffers::FlatBufferBuilder;
template <class T>
using Ref = flatbuffers::Offset<T>;
template <class T>
using Refs = flatbuffers::Vector<flatbuffers::Offset<T>>;

/// A message's table and its number in the union.
struct Built {
  wire::Body kind = wire::Body::NONE;
  Ref<void> table;
};
template <class T>
[[nodiscard]] Built built(wire::Body kind, Ref<T> table) {
  return {kind, table.Union()};
}
[[nodiscard]] Built build(Builder& b, const Request& request);
[[nodiscard]] Built build(Builder& b, const Response& response);

/// Bytes the message says its attachment has.
[[nodiscard]] std::uint64_t announced_bytes(const Request& request);
[[nodiscard]] std::uint64_t announced_bytes(const Response& response);
template <class Partition>
[[nodiscard]] std::uint64_t sum_of_bytes(const std::vector<Partition>& partitions) {
  std::uint64_t sum = 0;
  for (const auto& p : partitions) sum += p.bytes;
  return sum;
}

/// Copies values out of a verified message. A FlatBuffer may point to one string or table many
/// times over, so its size does not bound what it unfolds to: the decoder counts, and fails (once,
/// for good) before it allocates more than its limit.
class Decoder {
 public:
  explicit Decoder(std::size_t limit_bytes) : left_(limit_bytes) {}

  [[nodiscard]] bool ok() const noexcept { return reason_.empty(); }
  /// Why decoding failed.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  void set_failed(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
  }

  [[nodiscard]] std::string text(const flatbuffers::String* s) {
    if (s == nullptr || !charge(s->size())) return {};
    return std::string(s->c_str(), s->size());
  }

  /// `read(*this, element)` of every element.
  template <class W, class F>
  [[nodiscard]] auto list(const flatbuffers::Vector<flatbuffers::Offset<W>>* from, F read) {
    using T = decltype(read(*this, *from->Get(0)));
    std::vector<T> out;
    if (from == nullptr || !charge(std::size_t{from->size()} * sizeof(T))) return out;
    out.reserve(from->size());
    for (flatbuffers::uoffset_t i = 0; i < from->size() && ok(); ++i) {
      out.push_back(read(*this, *from->Get(i)));
    }
    return out;
  }

  /// Of a list of texts.
  [[nodiscard]] std::vector<std::string> texts(const Refs<flatbuffers::String>* from) {
    return list(from, [](Decoder& d, const flatbuffers::String& v) { return d.text(&v); });
  }

  [[nodiscard]] std::vector<Offset> offsets(const flatbuffers::Vector<std::int64_t>* from) {
    std::vector<Offset> out;
    if (from == nullptr || !charge(std::size_t{from->size()} * sizeof(Offset))) return out;
    out.reserve(from->size());
    for (flatbuffers::uoffset_t i = 0; i < from->size(); ++i) {
      // The verifier does not check that 8-byte elements are aligned.
      out.emplace_back(load_le<std::int64_t>(from->Data() + std::size_t{i} * 8));
    }
    return out;
  }

  [[nodiscard]] std::vector<PartitionIndex> partitions(
      const flatbuffers::Vector<std::int32_t>* from) {
    std::vector<PartitionIndex> out;
    if (from == nullptr || !charge(std::size_t{from->size()} * sizeof(PartitionIndex))) return out;
    out.reserve(from->size());
    for (const std::int32_t index : *from) out.emplace_back(index);
    return out;
  }

  /// `value` as E if it is at most `last`.
  template <class E>
  [[nodiscard]] E enumerator(std::uint8_t value, E last, std::string_view what) {
    if (value <= static_cast<std::uint8_t>(last)) return static_cast<E>(value);
    set_failed(std::string(what) + " " + std::to_string(value) + " is not known");
    return last;
  }

 private:
  [[nodiscard]] bool charge(std::size_t bytes) {
    if (!ok()) return false;
    if (bytes > left_) {
      left_ = 0;
      set_failed("the message unfolds to more bytes than are allowed");
      return false;
    }
    left_ -= bytes;
    return true;
  }

  std::size_t left_;
  std::string reason_;
};

/// The body's message. A kind that is not known, or is no request, is UnknownRequest.
[[nodiscard]] Request read_request(Decoder& d, const wire::Message& message);
/// A kind that is not known, or is no response, fails the decoder.
[[nodiscard]] Response read_response(Decoder& d, const wire::Message& message);

// ---- parts used by both directions
[[nodiscard]] inline Ref<flatbuffers::String> put(Builder& b, const std::string& text) {
  return text.empty() ? Ref<flatbuffers::String>() : b.CreateString(text);
}

/// A vector of `put_one(b, item)`; none for an empty list.
template <class T, class F>
[[nodiscard]] auto put_list(Builder& b, const std::vector<T>& items, F put_one) {
  using R = decltype(put_one(b, items.front()));
  constexpr std::size_t kFew = 8;
  if (items.empty()) return Ref<flatbuffers::Vector<R>>();
  if (items.size() <= kFew) {  // the usual request: no allocation
    R few[kFew];
    for (std::size_t i = 0; i < items.size(); ++i) few[i] = put_one(b, items[i]);
    return b.CreateVector(few, items.size());
  }
  std::vector<R> refs;
  refs.reserve(items.size());
  for (const T& item : items) refs.push_back(put_one(b, item));
  return b.CreateVector(refs);
}

/// Texts may be empty strings in a list, where a missing one could not be told from the next.
[[nodiscard]] inline Ref<flatbuffers::String> put_name(Builder& b, const std::string& name) {
  return b.CreateString(name);
}

[[nodiscard]] inline Ref<wire::TopicPartition> put_target(Builder& b, const TopicPartition& v) {
  return wire::CreateTopicPartition(b, put(b, v.topic), v.partition.value());
}
[[nodiscard]] inline TopicPartition read_target(Decoder& d, const wire::TopicPartition& v) {
  return {d.text(v.topic()), PartitionIndex(v.partition())};
}
[[nodiscard]] inline Ref<wire::Pair> put_config(Builder& b, const Config& v) {
  const auto key = put(b, v.first);
  return wire::CreatePair(b, key, put(b, v.second));
}
[[nodiscard]] inline Config read_config(Decoder& d, const wire::Pair& v) {
  std::string key = d.text(v.key());
  return {std::move(key), d.text(v.value())};
}

[[nodiscard]] inline Ref<wire::Statistic> put_statistic(Builder& b, const Statistic& v) {
  const auto name = put(b, v.name);
  const auto unit = put(b, v.unit);
  const auto text = put(b, v.text);
  return wire::CreateStatistic(b, name, v.value, unit, text);
}
[[nodiscard]] inline Statistic read_statistic(Decoder& d, const wire::Statistic& v) {
  Statistic out;
  out.name = d.text(v.name());
  out.value = v.value();
  out.unit = d.text(v.unit());
  out.text = d.text(v.text());
  return out;
}

// ---- views (codec_views.cc)
[[nodiscard]] Built put_request(Builder& b, const Sql& v);
[[nodiscard]] Built put_request(Builder& b, const ViewGet& v);
[[nodiscard]] Built put_request(Builder& b, const WaitApplied& v);
[[nodiscard]] Built put_request(Builder& b, const SubscribeView& v);
[[nodiscard]] Built put_request(Builder& b, const ListViews& v);
[[nodiscard]] Built put_response(Builder& b, const SqlReply& v);
[[nodiscard]] Built put_response(Builder& b, const ViewDelivery& v);
[[nodiscard]] Built put_response(Builder& b, const ViewsReply& v);
[[nodiscard]] Sql read(Decoder& d, const wire::Sql& v);
[[nodiscard]] ViewGet read(Decoder& d, const wire::ViewGet& v);
[[nodiscard]] WaitApplied read(Decoder& d, const wire::WaitApplied& v);
[[nodiscard]] SubscribeView read(Decoder& d, const wire::SubscribeView& v);
[[nodiscard]] ListViews read(Decoder& d, const wire::ListViews& v);
[[nodiscard]] SqlReply read(Decoder& d, const wire::SqlReply& v);
[[nodiscard]] ViewDelivery read(Decoder& d, const wire::ViewDelivery& v);
[[nodiscard]] ViewsReply read(Decoder& d, const wire::ViewsReply& v);

}  // namespace runnel::protocol::native::detail
