#include "storage/views/plan/bind.h"

#include <fstream>

#include "tests/storage/views/plan/world.h"

namespace runnel::storage::views {
namespace {

ViewPlan good(const std::string& select, const std::string& with = "") {
  std::string error;
  ViewPlan plan = view_of("CREATE MATERIALIZED VIEW v " + with + " AS " + select, error);
  EXPECT_EQ(error, "") << select;
  return plan;
}

std::string types_of(const ViewPlan& plan) {
  std::string text;
  for (const OutputPlan& output : plan.outputs) {
    text += (text.empty() ? "" : ", ") + output.name + " " + name_of(output.type);
  }
  return text;
}

TEST(BindView, KeysAndAggregatesMakeTheOutputRow) {
  const ViewPlan plan = good(
      "SELECT country, campaign, COUNT(*) AS n, SUM(amount) AS total, SUM(amount) / COUNT(*) AS "
      "mean FROM donations WHERE amount > 0 GROUP BY campaign, country HAVING SUM(amount) > 100");
  ASSERT_EQ(plan.keys.size(), 2u);
  EXPECT_EQ(plan.keys[0].name, "campaign");
  EXPECT_EQ(plan.keys[1].name, "country");
  ASSERT_EQ(plan.aggregates.size(), 2u) << "equal aggregates are one";
  EXPECT_EQ(plan.aggregates[0].kind, AggregateKind::kCountRows);
  EXPECT_EQ(plan.aggregates[1].kind, AggregateKind::kSum);
  EXPECT_EQ(types_of(plan),
            "country VARCHAR, campaign VARCHAR, n BIGINT, total DECIMAL(38,2), mean "
            "DECIMAL(38,16)");
  EXPECT_EQ(plan.outputs[0].key, Slot{1});
  EXPECT_EQ(plan.outputs[1].key, Slot{0});
  EXPECT_FALSE(plan.outputs[2].key);

  Arena arena;
  const std::vector<Value> row{Value::text("c"), Value::text("FR"), Value::bigint(4),
                               Value::decimal(5000, 2)};
  Value value;
  ASSERT_EQ(plan.outputs[4].program.evaluate(row, arena, value), RowError::kNone);
  EXPECT_EQ(to_string(value), "12.5000000000000000");
  bool passes = true;
  ASSERT_EQ(plan.having.passes(row, arena, passes), RowError::kNone);
  EXPECT_FALSE(passes);
}

TEST(BindView, ReadsOnlyWhatItNeeds) {
  const ViewPlan plan = good("SELECT campaign, COUNT(*) FROM donations GROUP BY campaign");
  const SourcePlan& source = plan.source;
  // The campaign, and the column that lateness goes by.
  EXPECT_EQ(plan.slots_read, (std::vector<Slot>{1, 7}));
  EXPECT_EQ(source.columns[1].name, "campaign");
  EXPECT_EQ(source.columns[7].name, "at");
  EXPECT_EQ(source.watermark->delay_micros, 5 * 60 * 1'000'000);
  const ViewPlan pseudo = good("SELECT MAX(_offset) FROM donations WHERE _partition = 1");
  EXPECT_EQ(pseudo.slots_read, (std::vector<Slot>{7, source.slot_of(PseudoColumn::kPartition),
                                                  source.slot_of(PseudoColumn::kOffset)}));
}

TEST(BindView, AggregatesHaveTheirTypes) {
  const ViewPlan plan = good(
      "SELECT SUM(points) a, SUM(amount) b, SUM(tip) c, AVG(points) d, AVG(amount) e, AVG(tip) f, "
      "MIN(at) g, MAX(born) h, COUNT(DISTINCT id) i, BOOL_AND(anonymous) j, VAR_POP(points) k, "
      "STDDEV(amount) l, FIRST(id) m, LAST(extra) n, ARG_MAX(id, amount) o, ARG_MIN(tip, at) p, "
      "APPROX_COUNT_DISTINCT(id) q, APPROX_PERCENTILE(amount, 0.95) r, TOPK(country, 3) s, "
      "SUM(DISTINCT amount) t, MIN(DISTINCT points) u FROM donations");
  EXPECT_EQ(types_of(plan),
            "a DECIMAL(38,0), b DECIMAL(38,2), c DOUBLE, d DECIMAL(38,6), e DECIMAL(38,8), f "
            "DOUBLE, g TIMESTAMPTZ, h DATE, i BIGINT, j BOOLEAN, k DOUBLE, l DOUBLE, m VARCHAR, n "
            "JSON, o VARCHAR, p DOUBLE, q BIGINT, r DOUBLE, s JSON, t DECIMAL(38,2), u BIGINT");
  EXPECT_EQ(plan.aggregates[8].kind, AggregateKind::kCountDistinct);
  EXPECT_EQ(plan.aggregates[10].argument.type().kind, TypeKind::kDouble);
  EXPECT_EQ(plan.aggregates[14].kind, AggregateKind::kArgMax);
  EXPECT_TRUE(plan.aggregates[14].second);
  EXPECT_EQ(plan.aggregates[17].parameter, 0.95);
  EXPECT_EQ(plan.aggregates[18].parameter, 3);
  EXPECT_TRUE(plan.aggregates[19].distinct);
  EXPECT_FALSE(plan.aggregates[20].distinct) << "the least of different values is the least";
  EXPECT_TRUE(plan.keys.empty());
}

TEST(BindView, FilterBelongsToItsAggregate) {
  const ViewPlan plan = good(
      "SELECT COUNT(*) FILTER (WHERE anonymous) AS hidden, COUNT(*) AS n, COUNT(*) FILTER (WHERE "
      "anonymous) + 1 AS more FROM donations");
  ASSERT_EQ(plan.aggregates.size(), 2u);
  EXPECT_TRUE(plan.aggregates[0].filter);
  EXPECT_FALSE(plan.aggregates[1].filter);
}

TEST(BindView, GroupsByExpressionsAliasesAndNumbers) {
  const ViewPlan plan = good(
      "SELECT date_trunc('day', at) AS day, UPPER(country) AS land, amount > 100 AS big, "
      "extract(hour FROM date_trunc('day', at)) AS hour, COUNT(*) FROM donations "
      "GROUP BY 1, land, amount > 100");
  ASSERT_EQ(plan.keys.size(), 3u);
  EXPECT_EQ(plan.keys[0].type.kind, TypeKind::kTimestamp);
  EXPECT_EQ(plan.keys[2].type.kind, TypeKind::kBoolean);
  EXPECT_EQ(plan.outputs[0].key, Slot{0});
  EXPECT_EQ(plan.outputs[2].key, Slot{2});
  EXPECT_FALSE(plan.outputs[3].key) << "made of a key, but none";
  EXPECT_EQ(plan.outputs[3].program.slots().size(), 1u);
  EXPECT_EQ(plan.outputs[4].name, "count");
  const ViewPlan qualified =
      good("SELECT d.campaign, COUNT(*) FROM donations d GROUP BY campaign, d.campaign");
  EXPECT_EQ(qualified.keys.size(), 1u);
}

TEST(BindView, WindowsAreKeys) {
  const ViewPlan plan = good(
      "SELECT campaign, window_start, window_end, SUM(amount) FROM TUMBLE(donations, at, INTERVAL "
      "'1 hour') GROUP BY campaign, window_start, window_end",
      "WITH (time_zone = 'Europe/Paris', retention = '90 days', late = 'drop', max_groups = "
      "'1000', backfill = 'latest', backfill_rate = '5000', changelog_topic = 'out')");
  EXPECT_EQ(plan.window.kind, sql::WindowKind::kTumble);
  EXPECT_EQ(plan.window.time, 7);
  EXPECT_EQ(plan.window.size, (Interval{0, 0, 3'600'000}));
  EXPECT_EQ(plan.window.time_zone, "Europe/Paris");
  EXPECT_EQ(plan.keys[1].role, KeyRole::kWindowStart);
  EXPECT_EQ(plan.keys[2].role, KeyRole::kWindowEnd);
  EXPECT_EQ(plan.options.retention_micros, std::int64_t{90} * 86'400 * 1'000'000);
  EXPECT_EQ(plan.options.late, LatePolicy::kDrop);
  EXPECT_EQ(plan.options.max_groups, 1000u);
  EXPECT_EQ(plan.options.backfill, Backfill::kLatest);
  EXPECT_EQ(plan.options.backfill_rate, 5000u);
  EXPECT_EQ(plan.options.changelog_topic, "out");

  const ViewPlan hop = good(
      "SELECT window_start, COUNT(*) FROM HOP(donations, _ingest_time, INTERVAL '5 minutes', "
      "INTERVAL '1 hour') GROUP BY window_start");
  EXPECT_EQ(hop.window.slide, (Interval{0, 0, 300'000}));
  EXPECT_EQ(hop.window.size, (Interval{0, 0, 3'600'000}));
  EXPECT_EQ(hop.window.time, hop.source.slot_of(PseudoColumn::kIngestTime));
  const ViewPlan month = good(
      "SELECT window_start, COUNT(*) FROM CUMULATE(donations, at, INTERVAL '1 month', INTERVAL '1 "
      "year') GROUP BY window_start");
  EXPECT_EQ(month.window.slide, (Interval{1, 0, 0}));
  const ViewPlan session = good(
      "SELECT id, window_start, COUNT(*) FROM SESSION(donations, at, INTERVAL '30 minutes') GROUP "
      "BY id, window_start");
  EXPECT_EQ(session.window.size, (Interval{0, 0, 1'800'000}));
}

TEST(BindView, TablesAreJoinedByTheirKeys) {
  const ViewPlan plan = good(
      "SELECT c.title, rate, SUM(amount * rate) AS total FROM donations d JOIN campaigns c ON "
      "d.campaign = c.campaign LEFT JOIN rates ON rates.kind = points + 1 AND d.country = "
      "rates.country WHERE goal > 0 GROUP BY c.title, rate");
  ASSERT_EQ(plan.joins.size(), 2u);
  EXPECT_EQ(plan.joins[0].first_slot, plan.source.row_slots());
  EXPECT_EQ(plan.joins[0].key[0].column(), Slot{1});
  EXPECT_TRUE(plan.joins[1].left);
  EXPECT_EQ(plan.joins[1].first_slot, plan.source.row_slots() + 3);
  EXPECT_EQ(plan.joins[1].key[0].column(), Slot{6}) << "in the order of the table's key";
  EXPECT_FALSE(plan.joins[1].key[1].column());
  EXPECT_EQ(plan.row_slots(), plan.source.row_slots() + 6);
  EXPECT_EQ(plan.outputs[2].type, (Type{TypeKind::kDecimal, 38, 8}));
}

TEST(BindStream, PassesRecordsOn) {
  static const World world;
  const std::string sql =
      "INSERT INTO big SELECT id, amount * 2 AS twice, title FROM donations JOIN campaigns c ON "
      "donations.campaign = c.campaign WHERE amount > 1000";
  const auto statement = sql::parse_statement(sql);
  ASSERT_TRUE(statement) << statement.error().message();
  const auto plan = bind_stream(std::get<sql::CreateStream>(*statement), sql, world);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->topic, "big");
  ASSERT_EQ(plan->outputs.size(), 3u);
  EXPECT_EQ(plan->outputs[1].type, (Type{TypeKind::kDecimal, 31, 2}));
  const auto star = sql::parse_statement("INSERT INTO x SELECT * FROM donations");
  ASSERT_TRUE(star);
  const auto all = bind_stream(std::get<sql::CreateStream>(*star), "", world);
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(all->outputs.size(), 10u);
  EXPECT_EQ(all->outputs[2].name, "amount");
}

Status bound(const sql::Statement& statement, const std::string& sql, const World& world) {
  if (const auto* const view = std::get_if<sql::CreateView>(&statement)) {
    RUNNEL_TRY(bind_view(*view, sql, world));
  } else if (const auto* const stream = std::get_if<sql::CreateStream>(&statement)) {
    RUNNEL_TRY(bind_stream(*stream, sql, world));
  } else {
    RUNNEL_TRY(bind_source(std::get<sql::CreateSource>(statement)));
  }
  return {};
}

/// errors.txt: a statement, =>, and a part of what is said about it.
TEST(Bind, SaysWhatIsWrongAndWhere) {
  static const World world;
  std::ifstream file(std::string(RUNNEL_SOURCE_DIR) + "/tests/storage/views/plan/errors.txt");
  ASSERT_TRUE(file);
  std::string line;
  std::size_t number = 0;
  std::size_t checked = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.empty() || line.starts_with("#")) continue;
    const std::size_t arrow = line.find(" => ");
    ASSERT_NE(arrow, std::string::npos) << number;
    std::string sql = line.substr(0, arrow);
    if (sql.starts_with("SELECT")) sql = "CREATE MATERIALIZED VIEW v AS " + sql;
    const auto statement = sql::parse_statement(sql);
    const Status status =
        statement ? bound(*statement, sql, world) : Status(fail(statement.error()));
    ASSERT_FALSE(status) << "errors.txt:" << number << ": " << line;
    const std::string& said = status.error().message();
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(said.starts_with("line 1, column ")) << said;
    EXPECT_NE(said.find(line.substr(arrow + 4)), std::string::npos)
        << "errors.txt:" << number << ": " << line << "\n  says " << said;
    ++checked;
  }
  EXPECT_GT(checked, 80u);
}

TEST(Bind, PointsAtThePlace) {
  std::string error;
  view_of(
      "CREATE MATERIALIZED VIEW v AS\n  SELECT campaign, SUM(amuont)\n  FROM donations GROUP BY 1",
      error);
  EXPECT_EQ(error, "line 2, column 24: there is no column 'amuont'; did you mean 'amount'?");
}

TEST(JsonPath, IsReadOrRefused) {
  const auto steps = parse_json_path("$.a.items[10].\"b.c\"");
  ASSERT_TRUE(steps);
  EXPECT_EQ(*steps, (std::vector<PathStep>{{"a", {}}, {"items", {}}, {"", 10}, {"b.c", {}}}));
  EXPECT_TRUE(parse_json_path("$")->empty());
  for (const char* const bad : {"", "a", "$a", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$[0]",
                                "$.a[1", "$.\"a", "$.a[99999999]", "$.a]"}) {
    const auto refused = parse_json_path(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace runnel::storage::views
