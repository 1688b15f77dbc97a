// Server-sent events of a view: its rows, then each row that changed, as it is then.
//
// A subscriber reads for itself until it has caught up; from then on it gets what all others get,
// the same bytes (view_push.h). Who does not keep up reads for itself again, once, when there is
// room: it misses states in between and no row.
#include <algorithm>

#include "broker/http/limits.h"
#include "broker/http/routes.h"
#include "broker/http/stream_wire.h"
#include "broker/http/view_calls.h"
#include "broker/http/view_push.h"
#include "broker/http/websocket.h"
#include "storage/views/plan/view_condition.h"
#include "storage/views/query/view_page.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

/// One subscriber. Loop thread, except that what is read belongs to the worker while it is at work.
struct Stream {
  CallRef call;
  views::FeedOptions options;
  std::unique_ptr<views::ViewFeed> feed;  ///< null: it is told by its channel
  PushText text{kStreamPieceBytes};
  MemoryLease lease;  ///< while a piece is read
  std::unique_ptr<ViewPush::Subscription> subscription;
  std::optional<PushPlace> place;  ///< it has been told everything up to there
  bool begun = false;              ///< the head is sent
  bool waits = false;              ///< for the client to take what was written
  bool news = false;               ///< since the piece at hand was begun
  bool ended = false;
};
using StreamRef = std::shared_ptr<Stream>;

/// What a worker has read.
struct Piece {
  std::optional<Error> error;
  bool wants_memory = false;
  bool more = false;
  bool has_rows = false;
  PushPlace place;
  std::string text;
};

void read_on(const StreamRef& stream);
void told(const StreamRef& stream, const PushEvent& event);

/// From the push thread to the loop's.
void tell(const StreamRef& stream, const PushEventRef& event) {
  stream->call->on_loop([stream, event] { told(stream, *event); });
}

void let_go(Stream& stream) {
  stream.ended = true;
  stream.call->on_drained({});
  stream.subscription.reset();
  stream.call->on_cancel({});  // last: it may be what keeps the stream
}

void finish(const StreamRef& stream, const Error& why) {
  if (stream->ended) return;
  Call& call = *stream->call;
  let_go(*stream);
  stream->begun ? end_stream(call, why) : call.fail(why);
}

/// A condition for the feed from `where` and `key`.
Result<std::string> filter_of(const Call& call, const views::ViewPlan& plan) {
  const std::string where(call.query("where").value_or(""));
  RUNNEL_TRY(views::compile_condition(plan, where, views::FinalColumn::kNo));
  const auto key = call.query_all("key");
  if (key.empty()) return where;
  RUNNEL_TRY_ASSIGN(std::string condition, views::condition_of_key(plan, key));
  if (where.empty()) return condition;
  return "(" + where + "\n) AND " + condition;
}

/// On a worker: what the request asks for, and a place in the view's channel.
Status open(const StreamRef& stream) {
  Call& call = *stream->call;
  views::ViewService& service = *call.service().views();
  const std::string& name = call.path("view");
  const views::ReadSnapshot now = service.snapshot();
  RUNNEL_TRY_ASSIGN(const auto view, views::find_view(name, now));
  stream->options.view = name;
  RUNNEL_TRY_ASSIGN(stream->options.filter, filter_of(call, *view->view));
  stream->options.snapshot = !call.query("snapshot") || call.flag("snapshot");
  stream->options.every_change = call.query("mode").value_or("latest") == "changes";
  const std::string* const header = call.request().header("last-event-id");
  const auto last = header != nullptr && !header->empty() ? std::optional<std::string_view>(*header)
                                                          : call.query("after");
  if (last) {
    const auto place = parse_push_place(*last);
    if (!place) {
      return fail(ErrorCode::kInvalidArgument,
                  "Last-Event-ID, or after, is not the id of an event of a view; connect without "
                  "it");
    }
    stream->place = place;
    // Of a view that had the name before: nothing of it holds.
    const bool same = place->id.view == view->id.view;
    stream->options.after = {same ? place->id.generation : std::uint16_t{0}, place->sequence};
  }
  stream->feed = std::make_unique<views::ViewFeed>(stream->options);
  // Before the first piece is read, so that nothing falls between the two.
  auto subscribed = call.service().push().subscribe(
      name, stream->options.filter, [weak = std::weak_ptr(stream)](const PushEventRef& event) {
        if (const StreamRef to = weak.lock()) tell(to, event);
      });
  if (subscribed) {
    stream->subscription = *std::move(subscribed);
    return {};
  }
  // The feed knows what is there instead.
  const auto why = stream->feed->next(now, [](const auto&) { return false; });
  return tl::unexpected<Error>(why ? subscribed.error() : why.error());
}

/// On a worker: one piece of what the subscriber has not been told yet.
Piece read_piece(const StreamRef& stream) {
  Piece piece;
  HttpService& service = stream->call->service();
  piece.wants_memory = stream->lease.bytes() == 0 &&
                       !service.memory().try_take(2 * kStreamPieceBytes, stream->lease);
  if (piece.wants_memory) return piece;
  if (stream->feed == nullptr) {
    if (const Status opened = open(stream); !opened) {
      piece.error = opened.error();
      return piece;
    }
  }
  const views::ReadSnapshot now = service.views()->snapshot();
  const auto read = stream->text.read(*stream->feed, now);
  stream->lease = MemoryLease();
  if (!read) {
    piece.error = read.error();
    return piece;
  }
  const views::DefinitionRef view = now.definitions->find(stream->options.view);
  piece.place = {view->id, read->sequence};
  piece.more = read->more;
  piece.has_rows = !read->empty && read->kind != views::FeedKind::kProgress;
  const PushMessage message = stream->text.event(*read, piece.place);
  piece.text = is_websocket(*stream->call) ? frame_of(message) : sse_of(message);
  return piece;
}

/// Reads what it missed since its place.
void catch_up(const StreamRef& stream) {
  if (stream->ended) return;
  views::FeedOptions options = stream->options;
  options.after = {stream->place->id.generation, stream->place->sequence};
  stream->feed = std::make_unique<views::ViewFeed>(std::move(options));
  read_on(stream);
}

/// A piece was read: sends it, and goes on where there is more.
void send(const StreamRef& stream, Piece piece) {
  if (stream->ended) return;
  if (piece.error) return finish(stream, *piece.error);
  Call& call = *stream->call;
  if (piece.wants_memory) return call.wait_for_memory([stream] { read_on(stream); });
  if (!stream->begun) {
    // It does not know yet where it begins.
    if (piece.more && !piece.has_rows) return read_on(stream);
    if (!begin_stream(call)) return let_go(*stream);
    stream->begun = true;
    if (!is_websocket(call)) piece.text.insert(0, "retry: 2000\n\n");
    piece.has_rows = true;  // where it begins is told in any case
  }
  stream->place = piece.place;
  bool keeps_up = true;
  if (piece.has_rows) keeps_up = call.write(std::move(piece.text));
  if (!keeps_up) return call.on_drained([stream] { read_on(stream); });
  if (piece.more || stream->news) return read_on(stream);
  if (stream->options.every_change) {
    stream->waits = true;  // for news: what others are told is less
    return;
  }
  stream->feed.reset();
}

void read_on(const StreamRef& stream) {
  if (stream->ended) return;
  stream->news = false;
  Call& call = *stream->call;
  call.service().quick_workers().run(call.quick_lane(), [stream] {
    auto piece = std::make_shared<Piece>(read_piece(stream));
    stream->call->on_loop([stream, piece] { send(stream, std::move(*piece)); });
    return true;
  });
}

/// The stream is alive, wherever it is.
void tell_alive(const StreamRef& stream) {
  Call& call = *stream->call;
  static_cast<void>(
      call.write(is_websocket(call) ? frame_of(Opcode::kPing, {}) : ": nothing new\n\n"));
}

void told(const StreamRef& stream, const PushEvent& event) {
  if (stream->ended) return;
  if (event.kind == PushEvent::Kind::kEnd) return finish(stream, *event.why);
  const bool alive = event.kind == PushEvent::Kind::kAlive;
  if (stream->begun && stream->options.every_change && stream->waits) {
    if (alive) return tell_alive(stream);
    stream->waits = false;
    return read_on(stream);
  }
  // Who reads for itself, or waits for room, looks again when that is done.
  if (!stream->begun || stream->feed != nullptr || stream->waits) {
    stream->news = stream->news || !alive;
    return;
  }
  PushPlace& place = *stream->place;
  const bool fits =
      event.kind != PushEvent::Kind::kGap && event.id == place.id && event.from <= place.sequence;
  if (!fits) return catch_up(stream);
  if (event.to <= place.sequence && !alive) return;
  place.sequence = std::max(place.sequence, event.to);
  if (stream->call->write(is_websocket(*stream->call) ? event.frame : event.piece)) return;
  stream->waits = true;
  stream->call->on_drained([stream] {
    stream->waits = false;
    catch_up(stream);
  });
}

void events(const CallRef& call) {
  if (views_of(call) == nullptr) return;
  if (call->request().method == Method::kHead) {
    return call->reply(Response{200, std::string(kEventStream), {}, {}});
  }
  if (const Status paid = call->pay_for_waiting(1); !paid) return call->fail(paid.error());
  auto stream = std::make_shared<Stream>();
  stream->call = call;
  // Also what keeps the stream while it is told by its channel: finish() lets go.
  call->on_cancel([stream] {
    finish(stream, Error(ErrorCode::kShuttingDown,
                         "the broker is going; connect again with the id of the last event"));
  });
  read_on(stream);
}

}  // namespace

std::vector<Route> view_event_routes() {
  return {
      {.pattern = "/api/v1/views/{view}/events",
       .handler = events,
       .id = "followView",
       .tag = "views",
       .summary = "A view's rows and then its changes, as server-sent events",
       .description =
           "An event named snapshot has rows as they are (several while more is true), delta the "
           "rows that changed, as they are then, and the dimensions of those that are gone; reset "
           "says that what was told before is void, and begins the rows anew. Changes within a "
           "tenth of a second are one event, each row once: states in between are left out, the "
           "newest never. The id of an event is the place behind it: a client that connects again "
           "with Last-Event-ID is told what changed since, as far back as the view knows. A "
           "comment comes every 15 seconds when nothing else does. An event named end tells, as a "
           "problem document, why the broker ends the stream. A client that asks for an upgrade "
           "to websocket gets the same as messages, each with its type and id.",
       .query = {{.name = "key",
                  .text = "Only rows whose group columns have these values, in the order of GROUP "
                          "BY.",
                  .repeatable = true,
                  .example = "sea"},
                 {.name = "where",
                  .text = "Only rows for which this SQL condition over the view's columns holds.",
                  .example = "1 = 1"},
                 {.name = "after",
                  .text = "The id of the last event that was taken, where Last-Event-ID can't be "
                          "sent."},
                 {.name = "mode",
                  .kind = Param::Kind::kChoice,
                  .text = "changes: each change is an event of its own, with the rows as they were "
                          "behind it; who falls far behind gets a reset.",
                  .choices = "latest|changes"},
                 {.name = "snapshot",
                  .kind = Param::Kind::kBoolean,
                  .text = "false: only what changes from now on."}},
       .headers = {{.name = "Last-Event-ID", .text = "The id of the last event that was taken."}},
       .answers = {{200, "Events, without end.", {{kEventStream}}},
                   {101, "The same as messages of a WebSocket."}},
       .streams = true},
  };
}

}  // namespace runnel::broker::http
