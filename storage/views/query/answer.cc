#include "storage/views/query/answer.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/assert.h"

namespace runnel::storage::views {
namespace {

constexpr std::size_t kBlockBytes = 32u << 10;

}  // namespace

void AnswerRows::add(std::span<const Value> row) {
  RUNNEL_ASSERT(row.size() == width_);
  for (const Value& value : row) {
    if (value.tag() != Tag::kText) {
      values_.push_back(value);
      continue;
    }
    const std::string_view text = value.as_text();
    if (text.size() > left_ || next_ == nullptr) {
      left_ = std::max(text.size(), kBlockBytes);
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
      next_ = blocks_.back().get();
      text_bytes_ += left_;
    }
    if (!text.empty()) std::memcpy(next_, text.data(), text.size());
    values_.push_back(Value::text({next_, text.size()}));
    next_ += text.size();
    left_ -= text.size();
  }
}

void AnswerRows::reorder(std::span<const std::size_t> places) {
  AnswerRows ordered(width_);
  ordered.values_.reserve(places.size() * width_);
  for (const std::size_t place : places) {
    RUNNEL_ASSERT(place < size());
    ordered.add((*this)[place]);
  }
  *this = std::move(ordered);
}

}  // namespace runnel::storage::views
