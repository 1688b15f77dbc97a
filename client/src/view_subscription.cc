// Changes of a view that are pushed: renewed, where possible, behind what was told last.
#include "client/src/pushed.h"
#include "client/src/views.h"

namespace runnel::client {
namespace {

class PushedChanges final : public Pushed {
 public:
  PushedChanges(std::shared_ptr<Core> c, ViewSubscribeOptions o,
                std::function<void(Outcome<ViewChange>)> on_change)
      : Pushed(std::move(c)), options_(std::move(o)), on_change_(std::move(on_change)) {
    after_ = options_.after;
  }

 private:
  native::Request request() override {
    native::SubscribeView out;
    out.statement = options_.statement;
    out.view = options_.view;
    out.filter = options_.where;
    // What was begun and not told to its end begins anew, whatever was asked for.
    out.snapshot = options_.snapshot || told_;
    out.progress = options_.progress;
    out.mode = static_cast<native::SubscribeView::Mode>(options_.mode);
    out.credit_bytes = options_.credit_bytes;
    if (after_) out.after = {after_->generation, after_->sequence};
    must_reset_ = told_ && !after_;
    return out;
  }

  void delivered(native::Response response, Buffer attachment) override {
    auto* delivery = std::get_if<native::ViewDelivery>(&response);
    if (delivery == nullptr) return fail(wrong_reply());
    const std::uint64_t bytes = attachment.size();
    auto change = change_of(std::move(*delivery), std::move(attachment));
    if (!change) return fail(change.error());
    note_place(*change);
    const auto call = on_change_;
    call(std::move(change));
    give_back(bytes);
  }

  /// Where to go on if the connection is lost now.
  void note_place(ViewChange& change) {
    if (std::exchange(must_reset_, false)) change.kind = ViewChange::Kind::reset;
    told_ = true;
    const bool whole = change.kind == ViewChange::Kind::delta || !change.more;
    after_.reset();
    if (whole) after_ = ViewSubscribeOptions::After{change.generation, change.sequence};
  }

  Outcome<ViewChange> change_of(native::ViewDelivery from, Buffer bytes) {
    if (!from.columns.empty()) columns_ = columns_from(std::move(from.columns));
    ViewChange out;
    out.kind = static_cast<ViewChange::Kind>(from.kind);
    out.generation = from.generation;
    out.sequence = from.sequence;
    out.more = from.more;
    out.positions = positions_from(std::move(from.positions));
    auto rows = std::make_shared<ViewRows::Impl>();
    rows->columns = columns_;
    rows->rows = from.rows;
    rows->owner = std::move(bytes);
    if (from.rows > rows->owner.size()) return wrong_reply();
    ByteReader in(rows->owner.bytes());
    for (std::uint32_t i = 0; i < from.rows && in.ok(); ++i) {
      const auto kind = in.le<std::uint8_t>();
      if (kind > static_cast<std::uint8_t>(RowChange::added)) return wrong_reply();
      out.marks.push_back({static_cast<RowChange>(kind), std::string(in.text())});
      for (std::size_t c = 0; c < columns_.size(); ++c)
        rows->cells.push_back(native::read_cell(in));
    }
    if (!in.at_end()) return wrong_reply();
    out.rows = ViewRows(std::move(rows));
    return out;
  }

  void tell(Failure why) override {
    const auto call = on_change_;
    if (call) call(std::move(why));
  }
  void forget() override { on_change_ = nullptr; }

  const ViewSubscribeOptions options_;
  std::function<void(Outcome<ViewChange>)> on_change_;
  std::vector<ViewColumn> columns_;
  std::optional<ViewSubscribeOptions::After> after_;
  bool told_ = false;        ///< a change at least
  bool must_reset_ = false;  ///< the next one begins anew
};

}  // namespace
}  // namespace runnel::client

namespace runnel {

struct ViewSubscription::Impl : client::PushedHandle {
  using PushedHandle::PushedHandle;
};

void ViewSubscription::stop() {
  if (impl_) client::stop_and_wait(impl_->pushed);
}

Pending<ViewSubscription> Views::subscribe(ViewSubscribeOptions options,
                                           std::function<void(Outcome<ViewChange>)> on_change) {
  return client::start_pushed<ViewSubscription>(
      std::make_shared<client::PushedChanges>(impl_->core, std::move(options),
                                              std::move(on_change)),
      impl_->keeper);
}

}  // namespace runnel
