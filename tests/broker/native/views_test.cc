// What a session makes of a view service: waits that hold nothing, answers, refusals.
#include <algorithm>

#include "tests/broker/native/world.h"

namespace runnel::broker {
namespace {

namespace views = storage::views;

/// Answers statements with their own text, and waits when a test says so.
class FakeViews : public views::ViewService {
 public:
  void stop() override {}
  Result<std::vector<views::Answer>> execute(std::string_view text,
                                             const views::QueryLimits&) override {
    if (text == "no") return fail(ErrorCode::kInvalidArgument, "line 1, column 1: no");
    std::vector<views::Answer> answers(1);
    answers.front().tag = std::string(text);
    answers.front().columns = {{"a", {}, views::ColumnRole::kMeasure}, {"b", {}}};
    answers.front().rows = views::AnswerRows(2);
    const views::Value row[] = {views::Value::text("one"), views::Value::null()};
    answers.front().rows.add(row);
    return answers;
  }
  views::ReadSnapshot snapshot() const override {
    return {std::make_shared<views::Definitions>(), nullptr, nullptr};
  }
  std::vector<views::ViewStatus> status() const override { return {}; }
  void when_applied(std::string_view view, std::vector<views::Position> positions,
                    std::chrono::steady_clock::time_point, AppliedCallback done) override {
    waits.push_back({std::string(view), std::move(positions), std::move(done)});
  }
  Result<std::unique_ptr<views::ViewWatch>> watch(std::string_view,
                                                  std::function<void()>) override {
    return fail(ErrorCode::kNotFound, "no such view");
  }

  struct Wait {
    std::string view;
    std::vector<views::Position> positions;
    AppliedCallback done;
  };
  std::vector<Wait> waits;
};

NativeOptions with(views::ViewService* service) {
  NativeOptions options;
  options.views = service;
  return options;
}

struct ViewWorld : FakeViews, World {
  ViewWorld() : World(64u << 20, with(this)) { client->hello(); }
};

const std::vector<native::ViewPosition> kPlace = {{"orders", PartitionIndex(1), Offset(7)}};

TEST(NativeViews, WithoutAServiceTheyAreRefusedAndNothingIsStored) {
  World w;
  w.client->hello();
  std::uint64_t id = 10;
  for (const native::Request& request :
       {native::Request(native::Sql{"SELECT 1"}), native::Request(native::ViewGet{"v", {}}),
        native::Request(native::WaitApplied{"", kPlace}), native::Request(native::SubscribeView{}),
        native::Request(native::ListViews{})}) {
    EXPECT_EQ(w.client->call<native::Failure>(++id, request).code, ErrorCode::kUnsupported);
  }
  const std::string batch = batch_of();
  native::Append append = w.append_to(0, batch.size());
  append.applied = true;
  EXPECT_EQ(w.client->call<native::Failure>(30, append, batch).code, ErrorCode::kUnsupported);
  EXPECT_EQ(w.append(31, 0, batch).partitions.at(0).base_offset, Offset(0));
}

TEST(NativeViews, AStatementIsAnsweredWithItsCells) {
  ViewWorld w;
  const auto reply = w.client->call<native::SqlReply>(2, native::Sql{"SELECT 1"});
  ASSERT_EQ(reply.answers.size(), 1u);
  EXPECT_EQ(reply.answers[0].tag, "SELECT 1");
  EXPECT_EQ(reply.answers[0].columns[0].role, native::AnswerColumn::Role::kMeasure);
  EXPECT_EQ(as_text(w.client->attachment.bytes()), std::string_view("\4one\0", 5));
  EXPECT_EQ(w.client->call<native::Failure>(3, native::Sql{"no"}).code,
            ErrorCode::kInvalidArgument);
  native::Sql read_only{"DROP MATERIALIZED VIEW v"};
  read_only.read_only = true;
  EXPECT_EQ(w.client->call<native::Failure>(4, read_only).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(w.client->call<native::Failure>(5, native::ViewGet{"v", {}}).code,
            ErrorCode::kNotFound);
  EXPECT_EQ(w.client->call<native::Failure>(6, native::SubscribeView{}).code, ErrorCode::kNotFound);
  native::SubscribeView lossless;
  lossless.mode = native::SubscribeView::Mode::kChanges;
  EXPECT_EQ(w.client->call<native::Failure>(7, lossless).code, ErrorCode::kNotFound);
}

TEST(NativeViews, WaitsHoldNothingAndEndInAnyOrder) {
  ViewWorld w;
  constexpr std::uint64_t kWaits = 200;  // many more than there are workers
  for (std::uint64_t i = 0; i < kWaits; ++i) {
    w.client->feed(TestClient::frame(100 + i, native::Sql{"q" + std::to_string(i), kPlace}));
  }
  ASSERT_EQ(w.waits.size(), kWaits);
  EXPECT_EQ(w.waits[0].positions.at(0).next, Offset(7));
  EXPECT_EQ(w.client->call<native::SqlReply>(50, native::Sql{"at once"}).answers.size(), 1u);
  for (std::uint64_t i = kWaits; i-- > 0;) w.waits[i].done({});
  for (std::uint64_t i = 0; i < kWaits; ++i) {
    EXPECT_EQ(w.client->await<native::SqlReply>(100 + i).answers.at(0).tag,
              "q" + std::to_string(i));
  }
}

TEST(NativeViews, AWaitThatFailsIsAnsweredSo) {
  ViewWorld w;
  w.client->feed(TestClient::frame(2, native::WaitApplied{"v", kPlace}) +
                 TestClient::frame(3, native::WaitApplied{"", kPlace}) +
                 TestClient::frame(4, native::Sql{"q", kPlace}));
  ASSERT_EQ(w.waits.size(), 3u);
  EXPECT_EQ(w.waits[0].view, "v");
  w.waits[2].done({});
  EXPECT_EQ(w.client->await<native::SqlReply>(4).answers.at(0).tag, "q");
  w.waits[1].done(fail(ErrorCode::kTimeout, "late"));
  EXPECT_EQ(w.client->await<native::Failure>(3).code, ErrorCode::kTimeout);
  w.waits[0].done({});
  static_cast<void>(w.client->await<native::Done>(2));
  EXPECT_EQ(w.client->call<native::Failure>(5, native::WaitApplied{"v", {}}).code,
            ErrorCode::kInvalidArgument);
}

TEST(NativeViews, AnAppendIsAnsweredWhenItIsAppliedOrNotInTime) {
  ViewWorld w;
  const std::string batch = batch_of(10, 3);
  native::Append append = w.append_to(2, batch.size());
  append.applied = true;
  std::uint64_t id = 2;
  for (const bool in_time : {true, false}) {
    w.client->feed(TestClient::frame(++id, append, batch));
    while (w.waits.empty()) {
      ASSERT_TRUE(w.client->connection.posts->wait());
      w.client->run_posted();
    }
    EXPECT_EQ(w.client->find<native::AppendReply>(id), nullptr);
    const auto& position = w.waits.back().positions.at(0);
    EXPECT_EQ(position.topic, "orders");
    EXPECT_EQ(position.partition, PartitionIndex(2));
    EXPECT_EQ(position.next, Offset(in_time ? 3 : 6));
    w.waits.back().done(in_time ? Status() : fail(ErrorCode::kTimeout, "late"));
    w.waits.clear();
    const auto reply = w.client->await<native::AppendReply>(id);
    EXPECT_EQ(reply.applied, in_time);
    EXPECT_EQ(reply.partitions.at(0).base_offset, Offset(in_time ? 0 : 3));
  }
}

TEST(NativeViews, ThoseWhoWaitAreAnsweredWhenTheBrokerStops) {
  ViewWorld w;
  w.client->feed(TestClient::frame(2, native::Sql{"q", kPlace}));
  ASSERT_EQ(w.waits.size(), 1u);
  w.client->session->shutting_down();
  EXPECT_EQ(w.client->await<native::Failure>(2).code, ErrorCode::kShuttingDown);
  EXPECT_TRUE(w.client->connection.closed);
  w.waits[0].done({});  // too late, and to nobody
}

TEST(NativeViews, AWaitMayEndAfterItsConnection) {
  ViewWorld w;
  w.client->feed(TestClient::frame(2, native::Sql{"q", kPlace}));
  ASSERT_EQ(w.waits.size(), 1u);
  w.client.reset();
  w.waits[0].done({});
}

}  // namespace
}  // namespace runnel::broker
