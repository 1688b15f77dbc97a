#include "storage/views/json/decoder.h"

#include <algorithm>

#include "storage/views/json/convert.h"

namespace runnel::storage::views {

/// A column that is read.
struct Decoder::Target {
  Type type;
  std::uint16_t source = 0;
  Slot slot = 0;
  bool not_null = false;
  bool bad_is_null = false;         ///< ON ERROR NULL
  std::uint64_t failed_record = 0;  ///< the last one in which it failed
};

/// A place in documents: the columns that stand there and what is read below it.
struct Decoder::Path {
  std::string key;
  std::uint32_t index = 0;
  std::vector<std::size_t> targets;
  std::vector<std::unique_ptr<Path>> members;
  std::vector<std::unique_ptr<Path>> elements;
  std::size_t next_member = 0;    ///< writers keep an order: the one that is expected next
  std::uint64_t seen_record = 0;  ///< the last one that had it

  [[nodiscard]] bool has_children() const { return !members.empty() || !elements.empty(); }
};

Decoder::Decoder(std::vector<DecoderNeed> needs)
    : needs_(std::move(needs)), root_(std::make_unique<Path>()) {
  for (std::size_t i = 0; i < needs_.size(); ++i) {
    rows_.emplace_back(std::max(needs_[i].row_slots, needs_[i].source->row_slots()));
    std::vector<Slot> slots = needs_[i].slots;
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
    for (const Slot slot : slots) {
      if (slot >= needs_[i].source->columns.size()) continue;
      add(needs_[i], static_cast<std::uint16_t>(i), slot);
    }
  }
}

Decoder::~Decoder() = default;

void Decoder::add(const DecoderNeed& need, std::uint16_t source, Slot slot) {
  const ColumnPlan& column = need.source->columns[slot];
  Path* at = root_.get();
  for (const PathStep& step : column.path) {
    auto& children = step.index ? at->elements : at->members;
    const auto known = std::find_if(children.begin(), children.end(), [&](const auto& child) {
      return step.index ? child->index == *step.index : child->key == step.key;
    });
    if (known != children.end()) {
      at = known->get();
      continue;
    }
    auto made = std::make_unique<Path>();
    made->key = step.key;
    made->index = step.index.value_or(0);
    children.push_back(std::move(made));
    at = children.back().get();
  }
  at->targets.push_back(targets_.size());
  targets_.push_back({column.type, source, slot, column.not_null,
                      need.source->on_error == sql::OnError::kNull && !column.not_null, 0});
}

RowError Decoder::decode(std::string_view document) {
  ++record_;
  errors_.clear();
  arena_.clear();
  for (const Target& target : targets_) rows_[target.source][target.slot] = Value::null();
  scanner_ = JsonScanner(document);
  JsonKind kind = JsonKind::kNull;
  if (!scanner_.peek(kind)) return RowError::kNotJson;
  if (kind != JsonKind::kObject) {
    const RowError why = check_json(document);
    return why == RowError::kNone ? RowError::kNotObject : why;
  }
  if (const RowError why = value(*root_); why != RowError::kNone) return why;
  if (!scanner_.at_end()) return RowError::kNotJson;
  for (Target& target : targets_) {
    if (!target.not_null || target.failed_record == record_) continue;
    if (rows_[target.source][target.slot].is_null()) failed(target, RowError::kMissing);
  }
  return RowError::kNone;
}

RowError Decoder::value(Path& path) {
  JsonKind kind = JsonKind::kNull;
  if (!scanner_.peek(kind)) return RowError::kNotJson;
  if (!path.has_children()) {
    JsonToken token;
    if (const RowError why = scanner_.take(token); why != RowError::kNone) return why;
    for (const std::size_t target : path.targets) set(targets_[target], token);
    return RowError::kNone;
  }
  const char* const first = scanner_.position();
  JsonToken token;
  RowError why = RowError::kNone;
  if (kind == JsonKind::kObject) {
    why = object(path);
    token = {kind, {first, static_cast<std::size_t>(scanner_.position() - first)}, false};
  } else if (kind == JsonKind::kArray) {
    why = array(path);
    token = {kind, {first, static_cast<std::size_t>(scanner_.position() - first)}, false};
  } else {
    why = scanner_.take(token);
  }
  if (why != RowError::kNone) return why;
  // A column that looks for a member in what has none is as wrong as one of another type.
  for (auto* const children : {&path.members, &path.elements}) {
    const bool fits = kind == JsonKind::kNull ||
                      kind == (children == &path.members ? JsonKind::kObject : JsonKind::kArray);
    for (const auto& child : *children) {
      if (!fits) fail_below(*child, RowError::kWrongType);
    }
  }
  for (const std::size_t target : path.targets) set(targets_[target], token);
  return RowError::kNone;
}

RowError Decoder::object(Path& path) {
  return scanner_.take_object([&](const JsonToken& key) {
    Path* const found = member(path, key);
    if (found == nullptr || found->seen_record == record_) {
      JsonToken ignored;
      const RowError why = scanner_.take(ignored);
      if (why == RowError::kNone && found != nullptr) fail_below(*found, RowError::kDuplicateKey);
      return why;
    }
    found->seen_record = record_;
    return value(*found);
  });
}

RowError Decoder::array(Path& path) {
  std::uint32_t index = 0;
  return scanner_.take_array([&] {
    const std::uint32_t at = index++;
    for (const auto& element : path.elements) {
      if (element->index == at) return value(*element);
    }
    JsonToken ignored;
    return scanner_.take(ignored);
  });
}

Decoder::Path* Decoder::member(Path& path, const JsonToken& key) {
  std::string_view text = key.text;
  // A key that means no text is nobody's.
  if (key.escaped && unescape(key, arena_, text) != RowError::kNone) return nullptr;
  const std::size_t count = path.members.size();
  std::size_t at = path.next_member;
  for (std::size_t tried = 0; tried < count; ++tried) {
    Path* const child = path.members[at].get();
    at = at + 1 == count ? 0 : at + 1;
    if (child->key == text) {
      path.next_member = at;
      return child;
    }
  }
  return nullptr;
}

void Decoder::fail_below(Path& path, RowError error) {
  for (const std::size_t target : path.targets) failed(targets_[target], error);
  for (const auto* const children : {&path.members, &path.elements}) {
    for (const auto& child : *children) fail_below(*child, error);
  }
}

void Decoder::failed(Target& target, RowError error) {
  rows_[target.source][target.slot] = Value::null();
  if (target.failed_record == record_) return;
  target.failed_record = record_;
  if (target.bad_is_null) {
    ++nulled_;
    return;
  }
  errors_.push_back({target.source, target.slot, error});
}

void Decoder::set(Target& target, const JsonToken& token) {
  Value& to = rows_[target.source][target.slot];
  const RowError why = convert_json(token, target.type, arena_, to);
  if (why != RowError::kNone) failed(target, why);
}

}  // namespace runnel::storage::views
