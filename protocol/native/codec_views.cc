// The messages of views <-> their tables.
#include "protocol/native/codec_parts.h"

namespace runnel::protocol::native::detail {
namespace {

Ref<wire::ViewPosition> put_position(Builder& b, const ViewPosition& v) {
  return wire::CreateViewPosition(b, put(b, v.topic), v.partition.value(), v.next.value());
}
ViewPosition read_position(Decoder& d, const wire::ViewPosition& v) {
  return {d.text(v.topic()), PartitionIndex(v.partition()), Offset(v.next())};
}

Ref<wire::Cell> put_cell(Builder& b, const std::optional<std::string>& v) {
  return wire::CreateCell(b, v ? b.CreateString(*v) : Ref<flatbuffers::String>());
}
std::optional<std::string> read_cell_table(Decoder& d, const wire::Cell& v) {
  if (v.text() == nullptr) return std::nullopt;
  return d.text(v.text());
}

Ref<wire::AnswerColumn> put_column(Builder& b, const AnswerColumn& v) {
  const auto name = put(b, v.name);
  const auto type = put(b, v.type);
  return wire::CreateAnswerColumn(b, name, type, static_cast<std::uint8_t>(v.role));
}
AnswerColumn read_column(Decoder& d, const wire::AnswerColumn& v) {
  AnswerColumn out;
  out.name = d.text(v.name());
  out.type = d.text(v.type());
  // A role of a later version is none that this one knows.
  if (v.role() <= static_cast<std::uint8_t>(AnswerColumn::Role::kMeasure)) {
    out.role = static_cast<AnswerColumn::Role>(v.role());
  }
  return out;
}

Ref<wire::SqlAnswer> put_answer(Builder& b, const SqlAnswer& v) {
  const auto tag = put(b, v.tag);
  const auto columns = put_list(b, v.columns, put_column);
  const auto notices = put_list(b, v.notices, put_name);
  const auto positions = put_list(b, v.positions, put_position);
  return wire::CreateSqlAnswer(b, tag, columns, v.rows, notices, positions, v.generation,
                               v.sequence, v.bytes);
}
SqlAnswer read_answer(Decoder& d, const wire::SqlAnswer& v) {
  SqlAnswer out;
  out.tag = d.text(v.tag());
  out.columns = d.list(v.columns(), read_column);
  out.rows = v.rows();
  out.notices = d.texts(v.notices());
  out.positions = d.list(v.positions(), read_position);
  out.generation = v.generation();
  out.sequence = v.sequence();
  out.bytes = v.bytes();
  return out;
}

Ref<wire::ViewStatus> put_status(Builder& b, const ViewStatus& v) {
  const auto name = put(b, v.name);
  const auto problem = put(b, v.problem);
  const auto applied = put_list(b, v.applied, put_position);
  const auto counters = put_list(b, v.counters, put_statistic);
  const auto notice = put(b, v.notice);
  return wire::CreateViewStatus(b, name, static_cast<std::uint8_t>(v.kind),
                                static_cast<std::uint8_t>(v.state), problem, applied, v.lag,
                                counters, v.sequence, notice);
}
ViewStatus read_status(Decoder& d, const wire::ViewStatus& v) {
  ViewStatus out;
  out.name = d.text(v.name());
  out.kind = d.enumerator(v.kind(), ViewStatus::Kind::kStream, "kind of definition");
  out.state = d.enumerator(v.state(), ViewStatus::State::kFailed, "state of a view");
  out.problem = d.text(v.problem());
  out.applied = d.list(v.applied(), read_position);
  out.lag = v.lag();
  out.counters = d.list(v.counters(), read_statistic);
  out.sequence = v.sequence();
  out.notice = d.text(v.notice());
  return out;
}

}  // namespace

// ---- requests
Built put_request(Builder& b, const Sql& v) {
  const auto text = put(b, v.text);
  const auto wait = put_list(b, v.wait, put_position);
  return built(wire::Body::Sql,
               wire::CreateSql(b, text, wait, v.timeout_ms, v.max_rows, v.read_only));
}
Sql read(Decoder& d, const wire::Sql& v) {
  return {d.text(v.text()), d.list(v.wait(), read_position), v.timeout_ms(), v.max_rows(),
          v.read_only()};
}

Built put_request(Builder& b, const ViewGet& v) {
  const auto view = put(b, v.view);
  const auto key = put_list(b, v.key, put_cell);
  const auto wait = put_list(b, v.wait, put_position);
  return built(wire::Body::ViewGet, wire::CreateViewGet(b, view, key, wait, v.timeout_ms));
}
ViewGet read(Decoder& d, const wire::ViewGet& v) {
  return {d.text(v.view()), d.list(v.key(), read_cell_table), d.list(v.wait(), read_position),
          v.timeout_ms()};
}

Built put_request(Builder& b, const WaitApplied& v) {
  const auto view = put(b, v.view);
  const auto positions = put_list(b, v.positions, put_position);
  return built(wire::Body::WaitApplied, wire::CreateWaitApplied(b, view, positions, v.timeout_ms));
}
WaitApplied read(Decoder& d, const wire::WaitApplied& v) {
  return {d.text(v.view()), d.list(v.positions(), read_position), v.timeout_ms()};
}

Built put_request(Builder& b, const SubscribeView& v) {
  const auto statement = put(b, v.statement);
  const auto view = put(b, v.view);
  const auto filter = put(b, v.filter);
  const auto after = v.after ? flatbuffers::Optional<std::uint64_t>(v.after->sequence)
                             : flatbuffers::Optional<std::uint64_t>();
  return built(wire::Body::SubscribeView,
               wire::CreateSubscribeView(b, statement, view, filter,
                                         static_cast<std::uint8_t>(v.mode), v.snapshot, v.progress,
                                         v.after ? v.after->generation : std::uint16_t{0}, after,
                                         v.credit_bytes));
}
SubscribeView read(Decoder& d, const wire::SubscribeView& v) {
  SubscribeView out;
  out.statement = d.text(v.statement());
  out.view = d.text(v.view());
  out.filter = d.text(v.filter());
  out.mode = d.enumerator(v.mode(), SubscribeView::Mode::kChanges, "mode of a subscription");
  out.snapshot = v.snapshot();
  out.progress = v.progress();
  if (const auto after = v.after_sequence()) {
    out.after = SubscribeView::After{v.after_generation(), *after};
  }
  out.credit_bytes = v.credit_bytes();
  return out;
}

Built put_request(Builder& b, const ListViews&) {
  return built(wire::Body::ListViews, wire::CreateListViews(b));
}
ListViews read(Decoder&, const wire::ListViews&) {
  return {};
}

// ---- responses
Built put_response(Builder& b, const SqlReply& v) {
  return built(wire::Body::SqlReply, wire::CreateSqlReply(b, put_list(b, v.answers, put_answer)));
}
SqlReply read(Decoder& d, const wire::SqlReply& v) {
  return {d.list(v.answers(), read_answer)};
}

Built put_response(Builder& b, const ViewDelivery& v) {
  const auto columns = put_list(b, v.columns, put_column);
  const auto positions = put_list(b, v.positions, put_position);
  return built(
      wire::Body::ViewDelivery,
      wire::CreateViewDelivery(b, v.subscription, static_cast<std::uint8_t>(v.kind), v.generation,
                               v.sequence, v.more, columns, v.rows, v.bytes, positions));
}
ViewDelivery read(Decoder& d, const wire::ViewDelivery& v) {
  ViewDelivery out;
  out.subscription = v.subscription();
  out.kind = d.enumerator(v.kind(), ViewDelivery::Kind::kProgress, "kind of delivery");
  out.generation = v.generation();
  out.sequence = v.sequence();
  out.more = v.more();
  out.columns = d.list(v.columns(), read_column);
  out.rows = v.rows();
  out.bytes = v.bytes();
  out.positions = d.list(v.positions(), read_position);
  return out;
}

Built put_response(Builder& b, const ViewsReply& v) {
  return built(wire::Body::ViewsReply, wire::CreateViewsReply(b, put_list(b, v.views, put_status)));
}
ViewsReply read(Decoder& d, const wire::ViewsReply& v) {
  return {d.list(v.views(), read_status)};
}

}  // namespace runnel::protocol::native::detail
