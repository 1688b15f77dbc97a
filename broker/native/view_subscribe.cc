// Subscriptions to views: the row of each group that changed, as it is when the client has room for
// it, or as it was behind each change. A worker reads a piece, the session sends it; then the next,
// while there is credit. Whoever takes nothing costs nothing: what was missed is read when there is
// room again.
#include <limits>

#include "broker/native/native_session.h"
#include "broker/native/view_cells.h"

namespace runnel::broker {
namespace {

namespace views = storage::views;

/// A piece is sent when it has so many bytes.
constexpr std::size_t kPieceBytes = 256u << 10;
constexpr auto kMaxCredit = std::numeric_limits<std::int64_t>::max() / 2;

std::int64_t clamp_credit(std::uint64_t bytes) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, kMaxCredit));
}

Result<views::FeedOptions> options_of(const native::SubscribeView& request) {
  views::FeedOptions options;
  if (!request.statement.empty()) {
    if (!request.view.empty() || !request.filter.empty()) {
      return fail(ErrorCode::kInvalidArgument, "give either a statement or a view, not both");
    }
    RUNNEL_TRY_ASSIGN(options, views::feed_of_statement(request.statement));
  } else {
    options.view = request.view;
    options.filter = request.filter;
    options.snapshot = request.snapshot;
    options.progress = request.progress;
  }
  options.every_change =
      options.every_change || request.mode == native::SubscribeView::Mode::kChanges;
  if (request.after) {
    options.after = {request.after->generation, request.after->sequence};
  }
  return options;
}
static_assert(static_cast<int>(views::FeedKind::kProgress) ==
              static_cast<int>(native::ViewDelivery::Kind::kProgress));
static_assert(static_cast<int>(views::FeedKind::kReset) ==
              static_cast<int>(native::ViewDelivery::Kind::kReset));
static_assert(static_cast<int>(views::FeedChange::kAdd) ==
              static_cast<int>(native::RowChange::kAdd));

void append_row(const views::FeedRow& row, std::string& out) {
  ByteWriter head;
  head.le(static_cast<std::uint8_t>(row.change)).text(row.key);
  out += head.str();
  append_cells(row.values, out);
}

/// The next piece that is worth telling, or one that has nothing.
ViewPushed read_piece(views::ViewService& service, views::ViewFeed& feed, std::uint64_t number) {
  ViewPushed pushed;
  pushed.subscription = number;
  std::string rows;
  native::ViewDelivery& delivery = pushed.delivery;
  const auto take = [&](const views::FeedRow& row) {
    append_row(row, rows);
    ++delivery.rows;
    return rows.size() < kPieceBytes;
  };
  auto piece = feed.next(service.snapshot(), take);
  if (!piece) {
    pushed.problem = piece.error();
    return pushed;
  }
  pushed.more = piece->more;
  pushed.empty = piece->empty;
  delivery.subscription = number;
  delivery.kind = static_cast<native::ViewDelivery::Kind>(piece->kind);
  delivery.generation = piece->generation;
  delivery.sequence = piece->sequence;
  delivery.more = piece->more;
  delivery.columns = columns_of(piece->columns);
  delivery.positions = positions_of(piece->positions);
  delivery.bytes = static_cast<std::uint32_t>(rows.size());
  if (!rows.empty()) pushed.rows = Buffer::copy_of(as_bytes(rows));
  return pushed;
}

}  // namespace

void NativeSession::handle(std::uint64_t id, const native::SubscribeView& request) {
  if (service_.views() == nullptr) {
    return fail_request(id,
                        Error(ErrorCode::kUnsupported, "this broker was started without views"));
  }
  if (finishing_) {
    return fail_request(id, Error(ErrorCode::kShuttingDown, "the connection is being closed"));
  }
  if (subscriptions_.size() + view_subscriptions_.size() >= kMaxSubscriptions) {
    return fail_request(
        id, Error(ErrorCode::kInvalidArgument, "a connection may have 1000 subscriptions"));
  }
  auto options = options_of(request);
  if (!options) return fail_request(id, options.error());
  ViewSubscription subscription;
  if (const Status paid = charge(kChargedAsPartitions, subscription.lease); !paid) {
    return fail_request(id, paid.error());
  }
  const std::uint64_t number = ++last_id_;
  // Watched before the first read: nothing can fall between the two.
  auto announced = std::make_shared<std::atomic<bool>>(false);
  auto watch = service_.views()->watch(options->view, [replies = replies_, number, announced] {
    if (!announced->exchange(true)) replies->push({0, ViewChanged{number}});
  });
  if (!watch) {
    // The feed knows what is there instead.
    views::ViewFeed feed(*options);
    const auto piece = feed.next(service_.views()->snapshot(), [](const auto&) { return false; });
    return fail_request(id, piece ? watch.error() : piece.error());
  }
  subscription.correlation = id;
  subscription.credit = clamp_credit(request.credit_bytes);
  subscription.feed = std::make_shared<views::ViewFeed>(*std::move(options));
  subscription.announced = std::move(announced);
  subscription.watch = *std::move(watch);
  answer(id, native::SubscribeReply{number});
  request_done();
  auto& kept = view_subscriptions_.emplace(number, std::move(subscription)).first->second;
  push_view(number, kept);
}

void NativeSession::view_changed(std::uint64_t number) {
  const auto found = view_subscriptions_.find(number);
  if (found == view_subscriptions_.end()) return;
  found->second.announced->store(false);  // before the view is read
  found->second.news = true;
  push_view(number, found->second);
}

bool NativeSession::add_view_credit(const native::Credit& credit) {
  const auto found = view_subscriptions_.find(credit.subscription);
  if (found == view_subscriptions_.end()) return false;
  std::int64_t& left = found->second.credit;
  left = std::min(left + clamp_credit(credit.bytes), kMaxCredit);
  push_view(found->first, found->second);
  return true;
}

void NativeSession::push_view(std::uint64_t number, ViewSubscription& subscription) {
  if (subscription.at_work || !subscription.news || closed_) return;
  if (subscription.credit <= 0 || (pauses_ & kForOutput) != 0) return;
  subscription.at_work = true;
  subscription.news = false;  // what changes from now on is news again
  service_.quick_workers().run(push_lane_, [replies = replies_, service = service_.views(),
                                            feed = subscription.feed, number] {
    replies->push({0, read_piece(*service, *feed, number)});
    return true;
  });
}

void NativeSession::push_views() {
  for (auto& [number, subscription] : view_subscriptions_) push_view(number, subscription);
}

void NativeSession::pushed(ViewPushed piece) {
  const auto found = view_subscriptions_.find(piece.subscription);
  if (found == view_subscriptions_.end()) return;
  ViewSubscription& subscription = found->second;
  subscription.at_work = false;
  if (piece.problem) return end_view_subscription(found->first, *piece.problem);
  subscription.news = subscription.news || piece.more;
  if (!piece.empty) {
    const std::uint64_t bytes = piece.rows.size();
    subscription.credit -= static_cast<std::int64_t>(bytes);
    NativeCounters::add(service_.counters().deliveries, 1);
    Output rows;
    if (bytes > 0) rows.emplace_back(std::move(piece.rows));
    if (!answer(subscription.correlation, piece.delivery, std::move(rows), bytes)) {
      view_subscriptions_.erase(found);  // the Failure that was sent instead has ended it
      return;
    }
    flush();  // tells whether the client keeps up
  }
  push_view(found->first, subscription);
}

void NativeSession::end_view_subscription(std::uint64_t number, const Error& error) {
  const auto found = view_subscriptions_.find(number);
  if (found == view_subscriptions_.end()) return;
  answer(found->second.correlation, failure_of(error));
  view_subscriptions_.erase(found);
}

}  // namespace runnel::broker
