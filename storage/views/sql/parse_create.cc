#include "storage/views/sql/parser_impl.h"

namespace runnel::storage::sql {

Result<Statement> Parser::create() {
  const bool or_replace = accept_all({"or", "replace"});
  if (accept("source")) return create_source(/*table=*/false, or_replace);
  if (accept("table")) return create_source(/*table=*/true, or_replace);
  if (accept("materialized")) {
    RUNNEL_TRY(expect("view"));
    return create_view(or_replace);
  }
  if (sees("view")) {
    return fail(
        error_at(peek().place, "views are materialised here; write CREATE MATERIALIZED VIEW"));
  }
  return unexpected("SOURCE, TABLE or MATERIALIZED VIEW", {"source", "table", "materialized"});
}

Result<bool> Parser::if_not_exists() {
  if (!accept("if")) return false;
  RUNNEL_TRY(expect("not"));
  RUNNEL_TRY(expect("exists"));
  return true;
}

Result<CreateSource> Parser::create_source(bool table, bool or_replace) {
  CreateSource source;
  source.table = table;
  source.or_replace = or_replace;
  RUNNEL_TRY_ASSIGN(source.if_not_exists, if_not_exists());
  RUNNEL_TRY_ASSIGN(source.name, name("a name"));
  RUNNEL_TRY(expect_symbol("("));
  do {
    RUNNEL_TRY(source_element(source));
  } while (accept_symbol(","));
  RUNNEL_TRY(expect_symbol(")"));
  RUNNEL_TRY(source_tail(source));
  if (table && source.primary_key.empty()) {
    return fail(error_at(source.name.place, "a table needs a PRIMARY KEY (column, ...)"));
  }
  return source;
}

/// A column, the watermark or a table's primary key.
Status Parser::source_element(CreateSource& source) {
  const Place place = peek().place;
  if (accept_all({"watermark", "for"})) {
    if (source.watermark) return fail(error_at(place, "there is a watermark already"));
    CreateSource::Watermark mark;
    RUNNEL_TRY_ASSIGN(mark.column, name("the column of the event's time"));
    RUNNEL_TRY(expect("as"));
    RUNNEL_TRY_ASSIGN(const Name again, name("the same column"));
    if (again.text != mark.column.text) {
      return fail(error_at(again.place, "a watermark is its own column less a delay: " +
                                            mark.column.text + " - INTERVAL '...'"));
    }
    if (accept_symbol("-")) {
      RUNNEL_TRY_ASSIGN(mark.delay, interval());
    }
    source.watermark = std::move(mark);
    return {};
  }
  if (accept_all({"primary", "key"})) {
    if (!source.table) {
      return fail(error_at(place, "a source has no primary key; CREATE TABLE has one"));
    }
    if (!source.primary_key.empty()) return fail(error_at(place, "there is a key already"));
    RUNNEL_TRY(expect_symbol("("));
    do {
      RUNNEL_TRY_ASSIGN(Name column, name("a column"));
      source.primary_key.push_back(std::move(column));
    } while (accept_symbol(","));
    return expect_symbol(")");
  }
  RUNNEL_TRY_ASSIGN(SourceColumn column, source_column());
  for (const SourceColumn& other : source.columns) {
    if (other.name.text == column.name.text) {
      return fail(
          error_at(column.name.place, "the column " + column.name.text + " is there already"));
    }
  }
  if (accept_all({"primary", "key"})) {
    if (!source.table) {
      return fail(error_at(column.name.place, "a source has no primary key; CREATE TABLE has one"));
    }
    source.primary_key.push_back(column.name);
  }
  source.columns.push_back(std::move(column));
  return {};
}

Result<SourceColumn> Parser::source_column() {
  SourceColumn column;
  RUNNEL_TRY_ASSIGN(column.name, name("a column, WATERMARK FOR or PRIMARY KEY"));
  RUNNEL_TRY_ASSIGN(column.type, type());
  while (true) {
    if (accept("path")) {
      RUNNEL_TRY_ASSIGN(column.path, string("a JSON path in quotes, such as '$.donor.name'"));
    } else if (accept_all({"not", "null"})) {
      column.not_null = true;
    } else {
      return column;
    }
  }
}

/// ON TOPIC 't' [FORMAT JSON] [ON ERROR ...] [WITH (...)].
Status Parser::source_tail(CreateSource& source) {
  RUNNEL_TRY(expect("on"));
  RUNNEL_TRY(expect("topic"));
  RUNNEL_TRY_ASSIGN(source.topic, string("the topic's name in quotes"));
  if (accept("format") && !accept("json")) {
    return unexpected("JSON, the one format that is read", {"json"});
  }
  if (accept("on")) {
    RUNNEL_TRY(expect("error"));
    if (accept("dlq")) {
      source.on_error = OnError::kDeadLetter;
    } else if (accept("skip")) {
      source.on_error = OnError::kSkip;
    } else if (accept("null")) {
      source.on_error = OnError::kNull;
    } else {
      return unexpected("DLQ, SKIP or NULL", {"dlq", "skip", "null"});
    }
  }
  if (accept("with")) {
    RUNNEL_TRY_ASSIGN(source.options, options());
  }
  return {};
}

Result<CreateView> Parser::create_view(bool or_replace) {
  CreateView view;
  view.or_replace = or_replace;
  RUNNEL_TRY_ASSIGN(view.if_not_exists, if_not_exists());
  RUNNEL_TRY_ASSIGN(view.name, name("a name"));
  if (accept("with")) {
    RUNNEL_TRY_ASSIGN(view.options, options());
  }
  RUNNEL_TRY(expect("as"));
  RUNNEL_TRY_ASSIGN(view.query, query());
  return view;
}

/// INSERT INTO topic [WITH (...)] SELECT ...
Result<CreateStream> Parser::insert() {
  CreateStream stream;
  RUNNEL_TRY(expect("into"));
  if (peek().kind == TokenKind::kString) {
    stream.topic = {peek().text, peek().place};
    take();
  } else {
    RUNNEL_TRY_ASSIGN(stream.topic, name("a topic"));
  }
  if (accept("with")) {
    RUNNEL_TRY_ASSIGN(stream.options, options());
  }
  RUNNEL_TRY_ASSIGN(stream.query, query());
  return stream;
}

}  // namespace runnel::storage::sql
