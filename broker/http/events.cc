// Server-sent events: a topic's records as they come, from any place on.
#include "broker/http/limits.h"
#include "broker/http/reading.h"
#include "broker/http/routes.h"
#include "broker/http/stream_wire.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

constexpr std::size_t kEventsAtOnce = 1000;

/// One stream. Loop thread, except that `scan` belongs to the worker while it is at work.
struct Stream {
  CallRef call;
  std::shared_ptr<const protocol::RecordFilter> filter;
  std::unique_ptr<RecordScan> scan;
  std::optional<Error> error;
  MemoryLease lease;  ///< while a piece is read
  bool wants_memory = false;
  storage::FetchTicket ticket = 0;
  bool waiting = false;  ///< a fetch waits for news
  bool ended = false;
};
using StreamRef = std::shared_ptr<Stream>;

void write_event(const protocol::Record& record, std::int32_t partition, const RecordScan& scan,
                 std::string& out) {
  out += "id: " + format_cursor(scan.cursor()) + "\ndata: ";
  append_record(record, partition, out);
  out += "\n\n";
}

/// The same as a message of a WebSocket.
void write_frame(const protocol::Record& record, std::int32_t partition, const RecordScan& scan,
                 std::string& out) {
  std::string text =
      "\"type\":\"record\",\"id\":\"" + format_cursor(scan.cursor()) + "\",\"record\":";
  append_record(record, partition, text);
  out += socket_message(text);
}

void read_on(const StreamRef& stream);

void finish(const StreamRef& stream, const Error& why) {
  if (std::exchange(stream->ended, true)) return;
  stream->call->on_cancel({});
  stream->call->on_drained({});
  end_stream(*stream->call, why);
}

/// The connection goes, or the broker does.
void cancel(const StreamRef& stream) {
  if (stream->waiting && stream->call->store().cancel_fetch(stream->ticket)) {
    stream->waiting = false;
  }
  finish(stream, Error(ErrorCode::kShuttingDown,
                       "the connection ends, because its client has ended its side or because the "
                       "broker is going; connect again with the id of the last event"));
}

void wait(const StreamRef& stream) {
  auto request = waiting_fetch(stream->scan->from(), kHeartbeat);
  stream->waiting = true;
  stream->ticket =
      stream->call->store().fetch(std::move(request), [stream](const storage::FetchResult& result) {
        std::optional<Error> error;
        bool news = false;
        for (const storage::FetchedPartition& p : result) {
          news = news || p.bytes > 0;
          if (p.error && p.error->code() != ErrorCode::kOffsetOutOfRange) error = p.error;
        }
        stream->call->on_loop([stream, error, news] {
          stream->waiting = false;
          if (stream->ended) return;
          if (error) return finish(stream, *error);
          if (!news && !stream->call->write(sign_of_life(*stream->call))) {
            return stream->call->on_drained([stream] { read_on(stream); });
          }
          read_on(stream);
        });
      });
}

/// Sends what was read; goes on at once, when the client has taken it, or when there is news.
void send(const StreamRef& stream) {
  if (stream->ended) return;
  if (stream->error) return finish(stream, *stream->error);
  RecordScan& scan = *stream->scan;
  Counters::add(stream->call->service().counters().read_records, scan.records());
  const bool at_end = scan.at_end();
  std::string text = scan.take_text();
  const bool keeps_up = text.empty() || stream->call->write(std::move(text));
  if (!keeps_up) return stream->call->on_drained([stream] { read_on(stream); });
  at_end ? wait(stream) : read_on(stream);
}

/// One piece of the work. True: it is done, or there is no memory for it now.
bool work(Stream& stream) {
  MemoryGate& memory = stream.call->service().memory();
  stream.wants_memory =
      stream.lease.bytes() == 0 && !memory.try_take(2 * kStreamPieceBytes, stream.lease);
  if (stream.wants_memory) return true;
  if (!stream.scan->work()) return false;
  stream.error = stream.scan->error();
  stream.lease = MemoryLease();
  return true;
}

void read_on(const StreamRef& stream) {
  if (stream->ended) return;
  stream->scan->restart();
  run_in_pieces(
      stream->call, [stream] { return work(*stream); },
      [stream] {
        if (!stream->wants_memory) return send(stream);
        stream->call->wait_for_memory([stream] { read_on(stream); });
      });
}

void begin(const StreamRef& stream, Result<std::vector<ReadFrom>> from) {
  Call& call = *stream->call;
  if (!from) return call.fail(from.error());
  if (call.request().method == Method::kHead) {
    return call.reply(Response{200, std::string(kEventStream), {}, {}});
  }
  if (const Status paid = call.pay_for_waiting(from->size()); !paid) {
    return call.fail(paid.error());
  }
  stream->scan = std::make_unique<RecordScan>(
      call.store(), call.service().memory(), call.service().clock(), stream->filter,
      std::move(*from), ScanLimits{kEventsAtOnce, kStreamPieceBytes, kStreamPieceBytes},
      is_websocket(call) ? write_frame : write_event);
  if (!begin_stream(call)) return;
  // Where it begins is known from now on, whatever comes first.
  const std::string place = format_cursor(stream->scan->cursor());
  static_cast<void>(call.write(is_websocket(call)
                                   ? socket_message(R"("type":"begins","id":")" + place + "\"")
                                   : "retry: 2000\nid: " + place + "\n: begins\n\n"));
  call.on_cancel([stream] { cancel(stream); });
  read_on(stream);
}

void events(const CallRef& call) {
  auto filter = filter_of(*call);
  if (!filter) return call->fail(filter.error().within("the filter"));
  auto stream = std::make_shared<Stream>();
  stream->call = call;
  stream->filter = *std::move(filter);
  run_blocking(
      call,
      [call] {
        const std::string* last = call->request().header("last-event-id");
        const bool resumes = last != nullptr && !last->empty();
        return places_of(*call, resumes ? std::optional<std::string_view>(*last) : std::nullopt,
                         "end");
      },
      [stream](Result<std::vector<ReadFrom>> from) { begin(stream, std::move(from)); });
}

}  // namespace

std::vector<Route> event_routes() {
  constexpr std::string_view kFrom =
      "Where to begin: end (if left out), start, an offset (17), -100 (so many before the end of "
      "each partition), -2h (ago), a time (2026-11-21T05:00:00Z) or @ with milliseconds.";
  return {
      {.pattern = "/api/v1/topics/{topic}/events",
       .handler = events,
       .id = "followRecords",
       .tag = "records",
       .summary = "Records as they come, as server-sent events",
       .description =
           "Each event is a record as RecordPage has it; its id is the place behind it, so that a "
           "client which connects again with Last-Event-ID misses nothing and gets nothing twice. "
           "A comment comes every 15 seconds when nothing else does. An event named end tells, as "
           "a problem document, why the broker ends the stream. A client that asks for an upgrade "
           "to "
           "websocket gets the same as messages: type begins with an id, record with id and "
           "record, end with problem; cursor takes such an id.",
       .query = reading_parameters(kFrom, false),
       .headers = {{.name = "Last-Event-ID", .text = "The id of the last event that was taken."}},
       .answers = {{200, "Events, without end.", {{kEventStream}}},
                   {101, "The same as messages of a WebSocket."}},
       .streams = true},
  };
}

}  // namespace runnel::broker::http
