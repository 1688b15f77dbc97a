#include "storage/views/worker/row_history.h"

#include "storage/views/engine/key_encoding.h"

namespace runnel::storage::views {
namespace {

void append_value(const Value& value, ByteWriter& out) {
  out.le(static_cast<std::uint8_t>(value.tag()));
  switch (value.tag()) {
    case Tag::kNull:
      return;
    case Tag::kBoolean:
      out.le(std::uint8_t{value.as_boolean()});
      return;
    case Tag::kBigint:
      out.le(value.as_bigint());
      return;
    case Tag::kDouble:
      out.le(value.as_double());
      return;
    case Tag::kDecimal: {
      const auto number = static_cast<Uint128>(value.as_decimal());
      out.le(value.scale()).le(static_cast<std::uint64_t>(number));
      out.le(static_cast<std::uint64_t>(number >> 64));
      return;
    }
    case Tag::kText:
      out.text(value.as_text());
      return;
    case Tag::kTimestamp:
      out.le(value.as_timestamp());
      return;
    case Tag::kDate:
      out.le(value.as_date());
      return;
  }
}

Value read_value(ByteReader& in) {
  switch (static_cast<Tag>(in.le<std::uint8_t>())) {
    case Tag::kNull:
      break;
    case Tag::kBoolean:
      return Value::boolean(in.le<std::uint8_t>() != 0);
    case Tag::kBigint:
      return Value::bigint(in.le<std::int64_t>());
    case Tag::kDouble:
      return Value::number(in.le<double>());
    case Tag::kDecimal: {
      const auto scale = in.le<std::uint8_t>();
      const auto low = in.le<std::uint64_t>();
      const auto high = in.le<std::uint64_t>();
      return Value::decimal(static_cast<Int128>(static_cast<Uint128>(high) << 64 | low), scale);
    }
    case Tag::kText:
      return Value::text(in.text());
    case Tag::kTimestamp:
      return Value::timestamp(in.le<std::int64_t>());
    case Tag::kDate:
      return Value::date(in.le<std::int32_t>());
  }
  return Value::null();
}

/// The keys of the groups that the write changed.
Result<std::vector<std::string>> changed_groups(ViewId id, const StateReader& state,
                                                std::uint64_t sequence) {
  std::vector<std::string> keys;
  std::string begin = key_prefix(id, Space::kChanges);
  char bytes[8];
  store_be(bytes, sequence);
  begin.append(bytes, sizeof bytes);
  RUNNEL_TRY(state.scan(begin, behind_prefix(begin), [&](std::string_view key, std::string_view) {
    keys.emplace_back(key.substr(begin.size()));
    return true;
  }));
  return keys;
}

}  // namespace

Result<RowStepRef> RowStep::read(const ViewPlan& plan, ViewId id, const StateReader& state,
                                 std::uint64_t sequence, std::size_t most) {
  RUNNEL_TRY_ASSIGN(const auto keys, changed_groups(id, state, sequence));
  if (keys.empty()) return RowStepRef();
  RUNNEL_TRY_ASSIGN(const auto reader, ViewReader::open(plan, id, state));
  auto step = std::make_shared<RowStep>();
  step->sequence_ = sequence;
  for (const auto& [partition, cursor] : reader->cursors()) {
    step->positions_.emplace_back(partition, cursor.next);
  }
  ByteWriter out;
  ByteWriter rows;
  for (const std::string& key : keys) {
    rows.clear();
    std::size_t values = 0;
    RowError error = RowError::kNone;
    const auto visit = [&](const ReadRow& row) {
      if (error == RowError::kNone) error = row.error;
      for (const Value& value : row.outputs) append_value(value, rows);
      values += row.outputs.size();
      return rows.size() <= most;
    };
    // A view without group columns has its row whether anything is in it or not.
    if (plan.keys.empty()) {
      RUNNEL_TRY(reader->read({}, visit));
    } else {
      RUNNEL_TRY(reader->read_group(key, visit));
    }
    out.text(key).le(static_cast<std::uint8_t>(error)).uvarint(values).text(rows.str());
    if (out.size() > most) return RowStepRef();
  }
  step->groups_ = keys.size();
  step->bytes_ = out.take();
  return RowStepRef(std::move(step));
}

void RowStep::visit(std::size_t first, const Visit& visit) const {
  ByteReader in(as_bytes(bytes_));
  std::vector<Value> rows;
  for (std::size_t i = 0; i < groups_; ++i) {
    const std::string_view key = in.text();
    const auto error = static_cast<RowError>(in.le<std::uint8_t>());
    const std::uint64_t values = in.uvarint();
    ByteReader cells(as_bytes(in.text()));
    if (i < first) continue;
    rows.clear();
    for (std::uint64_t v = 0; v < values; ++v) rows.push_back(read_value(cells));
    if (!visit(key, rows, error)) return;
  }
}

// ---------------------------------------------------------------- of one view
RowHistory::~RowHistory() {
  const MutexLock lock(mutex_);
  clear();
}

bool RowHistory::is_wanted() const {
  return followers_ > 0 || Steady::now() < kept_until_;
}

bool RowHistory::is_followed() const {
  const MutexLock lock(mutex_);
  return is_wanted();
}

void RowHistory::clear() {
  if (!steps_.empty()) room_->leave();
  room_->give(bytes_);
  bytes_ = 0;
  steps_.clear();
}

void RowHistory::add(RowStepRef step) {
  const MutexLock lock(mutex_);
  if (step->sequence() != last_ + 1) clear();
  last_ = step->sequence();
  const std::size_t bytes = step->bytes();
  steps_.push_back(std::move(step));
  if (steps_.size() == 1) room_->enter();
  bytes_ += bytes;
  room_->take(bytes);
  shrink();
}

void RowHistory::shrink() {
  while (!steps_.empty() && (bytes_ > most_bytes_ || room_->is_too_much(bytes_))) {
    const std::size_t oldest = steps_.front()->bytes();
    bytes_ -= oldest;
    room_->give(oldest);
    steps_.pop_front();
    if (steps_.empty()) room_->leave();
  }
}

void RowHistory::skip(std::uint64_t sequence) {
  const MutexLock lock(mutex_);
  clear();
  last_ = sequence;
}

void RowHistory::begin_following() {
  const MutexLock lock(mutex_);
  ++followers_;
}

void RowHistory::end_following() {
  const MutexLock lock(mutex_);
  --followers_;
  kept_until_ = Steady::now() + kHistoryAfterwards;
}

RowHistory::Next RowHistory::behind(std::uint64_t sequence) const {
  const MutexLock lock(mutex_);
  if (sequence >= last_) return {};
  if (steps_.empty() || sequence + 1 < steps_.front()->sequence()) return {nullptr, true};
  return {steps_[sequence + 1 - steps_.front()->sequence()], false};
}

void RowHistory::tidy() {
  const MutexLock lock(mutex_);
  if (!is_wanted()) clear();
  shrink();
}

// ---------------------------------------------------------------- of all
std::shared_ptr<RowHistory> RowHistories::of(ViewId id) {
  const MutexLock lock(mutex_);
  std::shared_ptr<RowHistory>& history = all_[{id.view, id.generation}];
  if (history == nullptr) history = std::make_shared<RowHistory>(room_, most_of_one_);
  return history;
}

void RowHistories::tidy(const std::function<bool(ViewId)>& is_known) {
  const MutexLock lock(mutex_);
  std::erase_if(all_, [&](const auto& one) {
    return !is_known({one.first.first, one.first.second});
  });
  for (const auto& [id, history] : all_) history->tidy();
}

}  // namespace runnel::storage::views
