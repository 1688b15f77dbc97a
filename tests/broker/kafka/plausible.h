// Requests that look like those of clients: names that exist, small numbers, real batches. What is
// random only is refused by the first check and never gets far.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "protocol/kafka/codec.h"
#include "protocol/record_batch/record_batch.h"
#include "tests/protocol/kafka/filler.h"
#include "tests/support/seeds.h"

namespace runnel::broker {

namespace kafka = protocol::kafka;

class PlausibleFiller final : public kafka::Filler {
 public:
  using Filler::Filler;

 protected:
  std::int64_t any_number() override {
    static constexpr std::array<std::int64_t, 14> kNumbers = {
        -1, -1, 0, 0, 0, 0, 1, 1, 2, 3, 10'000, -2, INT32_MAX, INT64_MIN};
    return kNumbers[index_below(kNumbers.size())];
  }
  std::int32_t length(Shape shape, std::int32_t, bool null_allowed, std::size_t) override {
    if (null_allowed && below(5) == 0) return kNull;
    if (shape == Shape::kArray) return below(3);
    if (shape == Shape::kBytes) return below(40);
    static const std::array<std::string, 16> kTexts = {
        "orders", "orders", "orders",   "billing",        "billing", "consumer",
        "range",  "",       "other",    "cleanup.policy", "compact", "me",
        "1",      "user",   "/nowhere", "uniform"};
    next_ = kTexts[index_below(kTexts.size())];
    return static_cast<std::int32_t>(next_.size());
  }
  Bytes content(Bytes, std::size_t size) override { return keep(std::exchange(next_, {}), size); }
  void records(kafka::Records& value) override {
    protocol::BatchBuilder builder;
    protocol::NewRecord record;
    record.timestamp = Timestamp(1000);
    record.value = "value";
    builder.add(record);
    builder.add(record);
    value.bytes = keep(std::string(as_text(builder.finish()->bytes())), 0);
  }
  void tagged(const kafka::Tag* first, const kafka::Tag* last) override {
    for (const kafka::Tag* t = first; t != last; ++t) {
      if (in(t->versions) && below(3) == 0) t->describe(*this, t->field);
    }
  }

 private:
  std::size_t index_below(std::size_t limit) { return static_cast<std::size_t>(below(limit)); }

  std::string next_;
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
