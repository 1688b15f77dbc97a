// Requests that look like those of clients: names that exist, small numbers, real batches. What is
// random only is refused by the first check and never gets far.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "protocol/kafka/codec.h"
#include "protocol/record_batch/record_batch.h"
#include "tests/support/seeds.h"

namespace runnel::broker {

namespace kafka = protocol::kafka;

/// Owns what the message's views point to.
class PlausibleFiller final : public kafka::Fields {
 public:
  PlausibleFiller(storage::SeededRandom& random, std::int16_t version, bool flexible)
      : Fields(version, flexible), random_(random) {}

 protected:
  void number(std::int8_t& value) override { integer(value); }
  void number(std::int16_t& value) override { integer(value); }
  void number(std::int32_t& value) override { integer(value); }
  void number(std::int64_t& value) override { integer(value); }
  void boolean(bool& value) override { value = below(2) == 0; }
  std::int32_t length(Shape shape, std::int32_t, bool null_allowed, std::size_t) override {
    if (null_allowed && below(5) == 0) return kNull;
    if (shape == Shape::kArray) return static_cast<std::int32_t>(below(3));
    if (shape == Shape::kBytes) return static_cast<std::int32_t>(below(40));
    static const std::array<std::string, 16> kTexts = {
        "orders", "orders", "orders",   "billing",        "billing", "consumer",
        "range",  "",       "other",    "cleanup.policy", "compact", "me",
        "1",      "user",   "/nowhere", "uniform"};
    next_ = kTexts[below(kTexts.size())];
    return static_cast<std::int32_t>(next_.size());
  }
  bool presence(bool) override { return below(2) == 0; }
  Bytes content(Bytes, std::size_t size) override {
    std::string& bytes = kept_.emplace_back(std::exchange(next_, {}));
    while (bytes.size() < size) bytes.push_back(static_cast<char>(random_.next()));
    return as_bytes(bytes);
  }
  void records(kafka::Records& value) override {
    protocol::BatchBuilder builder;
    protocol::NewRecord record;
    record.timestamp = Timestamp(1000);
    record.value = "value";
    builder.add(record);
    builder.add(record);
    value.bytes = as_bytes(kept_.emplace_back(as_text(builder.finish()->bytes())));
  }
  void tagged(const kafka::Tag* first, const kafka::Tag* last) override {
    for (const kafka::Tag* t = first; t != last; ++t) {
      if (in(t->versions) && below(3) == 0) t->describe(*this, t->field);
    }
  }

 private:
  template <class T>
  void integer(T& value) {
    static constexpr std::array<std::int64_t, 14> kNumbers = {
        -1, -1, 0, 0, 0, 0, 1, 1, 2, 3, 10'000, -2, INT32_MAX, INT64_MIN};
    value = static_cast<T>(kNumbers[below(kNumbers.size())]);
  }
  std::uint64_t below(std::uint64_t limit) { return random_.next() % limit; }

  storage::SeededRandom& random_;
  std::string next_;
  std::deque<std::string> kept_;
};

/// Frames of one API.
struct PlausibleRequest {
  kafka::ApiKey api{};
  /// A whole frame, its length included.
  std::string (*frame)(storage::SeededRandom& random, std::int16_t version) = nullptr;
};
/// Of every API that protocol/kafka knows.
[[nodiscard]] const std::vector<PlausibleRequest>& plausible_requests();

}  // namespace runnel::broker
