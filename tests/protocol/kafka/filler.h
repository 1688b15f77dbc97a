// Fills messages with random values.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "protocol/kafka/fields.h"
#include "tests/support/seeds.h"

namespace runnel::protocol::kafka {

/// Owns what the message's views point to.
class Filler : public Fields {
 public:
  Filler(storage::SeededRandom& random, std::int16_t version, bool flexible)
      : Fields(version, flexible), random_(random) {}
  virtual ~Filler() = default;

 protected:
  void number(std::int8_t& value) override { integer(value); }
  void number(std::int16_t& value) override { integer(value); }
  void number(std::int32_t& value) override { integer(value); }
  void number(std::int64_t& value) override { integer(value); }
  void boolean(bool& value) override { value = below(2) == 0; }
  std::int32_t length(Shape shape, std::int32_t, bool null_allowed, std::size_t) override {
    if (null_allowed && below(4) == 0) return kNull;
    if (shape == Shape::kArray) return below(4);
    return below(16) == 0 ? 200 : below(20);
  }
  bool presence(bool) override { return below(2) == 0; }
  Bytes content(Bytes, std::size_t size) override { return keep({}, size); }
  void tagged(const Tag* first, const Tag* last) override {
    for (const Tag* t = first; t != last; ++t) {
      if (in(t->versions) && below(2) == 0) t->describe(*this, t->field);
    }
  }

  virtual std::int64_t any_number() { return static_cast<std::int64_t>(random_.next()); }
  /// `start`, made `size` long if it is shorter; lives as long as this.
  Bytes keep(std::string start, std::size_t size) {
    std::string& bytes = kept_.emplace_back(std::move(start));
    while (bytes.size() < size) bytes.push_back(static_cast<char>(random_.next()));
    return as_bytes(bytes);
  }
  std::int32_t below(std::uint64_t limit) {
    return static_cast<std::int32_t>(random_.next() % limit);
  }

 private:
  template <class T>
  void integer(T& value) {
    value = static_cast<T>(any_number());
  }

  storage::SeededRandom& random_;
  std::deque<std::string> kept_;
};

}  // namespace runnel::protocol::kafka
