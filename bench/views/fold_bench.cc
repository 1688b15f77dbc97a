// runnel_fold_bench: events per second of processor time that views fold, without the log and
// without JSON: rows are made beforehand. State goes to a RocksDB store (or to nowhere).
#include <time.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "bench/micro/scratch.h"
#include "bench/views/donations.h"
#include "storage/index/rocksdb_state_store.h"
#include "storage/views/engine/fold.h"
#include "storage/views/expr/node.h"

namespace runnel::bench {
namespace {

using namespace storage;
using namespace storage::views;
using Kind = AggregateKind;

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kManyGroups = 10'000'000;

enum Column : Slot { kCampaign = 0, kAmount, kTime, kPage, kCountry, kColumns };
constexpr Type kText{TypeKind::kVarchar, 0, 0};
constexpr Type kMoney{TypeKind::kDecimal, 12, 2};
constexpr Type kInstant{TypeKind::kTimestamp, 0, 0};
constexpr Type kTypes[kColumns] = {kText, kMoney, kInstant, kText, kText};

struct Plan {
  std::uint64_t events = 5'000'000;
  std::uint32_t partitions = 4;
  std::size_t batch = 50'000;
  std::uint64_t cache_mib = 64;
  std::uint64_t store_mib = 64;
  bool nowhere = false;
  std::string only;
};

/// What is written is gone; what is read was never there. Views must keep all groups in memory.
class Nowhere final : public StateStore {
 public:
  Result<bool> get(std::string_view, std::string&) const override { return false; }
  Status scan(std::string_view, std::string_view, const Visit&) const override { return {}; }
  Status apply(const StateWrites&) override { return {}; }
  std::shared_ptr<const StateReader> snapshot() const override { return nullptr; }
  Status flush() override { return {}; }
  std::uint64_t approximate_bytes(std::string_view, std::string_view) const override { return 0; }
  Status erase_range(std::string_view, std::string_view) override { return {}; }
};

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The donations as rows.
class Rows {
 public:
  Rows() {
    for (std::size_t i = 0; i < Donations::kCampaigns; ++i) {
      campaigns_.push_back(Donations::campaign_name(i));
    }
    for (std::size_t i = 0; i < Donations::kPages; ++i) pages_.push_back(Donations::page_name(i));
    for (std::size_t i = 0; i < Donations::kCountries; ++i) {
      countries_.push_back(Donations::country_name(i));
    }
  }
  void make(std::uint64_t i, std::uint64_t of, std::vector<Value>& row) {
    const Donation made = donations_.make(i, of);
    row[kCampaign] = Value::text(campaigns_[made.campaign]);
    row[kAmount] = Value::decimal(made.cents, 2);
    row[kTime] = Value::timestamp(made.at_micros);
    row[kPage] = Value::text(pages_[made.page]);
    row[kCountry] = Value::text(countries_[made.country]);
  }

 private:
  static constexpr std::uint64_t kSeed = 42;
  Donations donations_{kSeed};
  std::vector<std::string> campaigns_;
  std::vector<std::string> pages_;
  std::vector<std::string> countries_;
};

struct Case {
  std::string name;
  ViewPlan plan;
};

Program column_program(Slot slot, const Type& type) {
  auto node = std::make_unique<Node>();
  node->slot = slot;
  node->type = type;
  node->kernel = [](const Node& n, Context& context, Value& out) {
    out = context.row[n.slot];
    return RowError::kNone;
  };
  auto compiled = std::make_shared<Compiled>();
  compiled->root = std::move(node);
  compiled->slots = {slot};
  compiled->column = slot;
  return Program(std::move(compiled));
}

AggregatePlan aggregate(Kind kind, std::optional<Column> argument = {}) {
  AggregatePlan plan;
  plan.kind = kind;
  if (argument) plan.argument = column_program(*argument, kTypes[*argument]);
  if (kind == Kind::kAvg) plan.result = {TypeKind::kDecimal, 38, 8};
  return plan;
}

ViewPlan view_by(std::vector<Column> columns, std::vector<AggregatePlan> aggregates) {
  ViewPlan plan;
  plan.name = "bench";
  plan.source.columns.resize(kColumns);
  plan.options.max_groups = kManyGroups;
  for (const Column column : columns) {
    plan.keys.push_back(
        {KeyRole::kExpression, "", kTypes[column], column_program(column, kTypes[column])});
  }
  plan.aggregates = std::move(aggregates);
  return plan;
}

std::vector<Case> cases() {
  ViewPlan hourly =
      view_by({kCampaign}, {aggregate(Kind::kCountRows), aggregate(Kind::kSum, kAmount),
                            aggregate(Kind::kAvg, kAmount)});
  hourly.window.kind = sql::WindowKind::kTumble;
  hourly.window.time = kTime;
  hourly.window.size = {0, 0, 3'600'000};
  hourly.window.time_zone = "Europe/Paris";
  hourly.source.watermark = {kTime, 5 * kMinute};
  hourly.keys.push_back({KeyRole::kWindowStart, "", kInstant,
                         column_program(hourly.source.window_start_slot(), kInstant)});
  ViewPlan daily = view_by({kCountry}, {aggregate(Kind::kCountDistinct, kPage)});
  daily.window = hourly.window;
  daily.window.size = {0, 1, 0};
  daily.source.watermark = hourly.source.watermark;
  daily.keys.push_back({KeyRole::kWindowStart, "", kInstant,
                        column_program(daily.source.window_start_slot(), kInstant)});
  return {{"campaign",
           view_by({kCampaign}, {aggregate(Kind::kCountRows), aggregate(Kind::kSum, kAmount),
                                 aggregate(Kind::kMax, kAmount), aggregate(Kind::kLast, kAmount)})},
          {"campaign-hour", std::move(hourly)},
          {"distinct-pages", std::move(daily)},
          {"page-country", view_by({kPage, kCountry},
                                   {aggregate(Kind::kCountRows), aggregate(Kind::kSum, kAmount)})}};
}

/// A block of rows is made outside of the clock, then folded and written inside.
int run(const Plan& plan, const Case& one) {
  const ScratchDirectory directory;
  std::unique_ptr<StateStore> store = std::make_unique<Nowhere>();
  if (!plan.nowhere) {
    StateStoreOptions options;
    options.directory = directory.path() + "/views";
    options.file_system = &FileSystem::posix();
    options.memory_bytes = plan.store_mib << 20;
    store = std::move(*open_state_store(std::move(options)));
  }
  FoldOptions options;
  options.id = {1, 1};
  options.cache_bytes = plan.cache_mib << 20;
  const auto fold = std::move(*ViewFold::open(one.plan, options, *store));
  Rows events;
  std::vector<std::vector<Value>> rows(plan.batch, std::vector<Value>(one.plan.source.row_slots()));
  double seconds = 0;
  double writing = 0;
  std::size_t written = 0;
  for (std::uint64_t done = 0; done < plan.events; done += plan.batch) {
    for (std::size_t i = 0; i < plan.batch; ++i) {
      events.make(done + i, plan.events, rows[i]);
    }
    const double begin = processor_seconds();
    for (std::size_t i = 0; i < plan.batch; ++i) {
      FoldRow row;
      row.offset = static_cast<std::int64_t>((done + i) / plan.partitions);
      row.event_time = rows[i][kTime].as_timestamp();
      row.values = rows[i];
      if (!fold->add(static_cast<std::uint32_t>((done + i) % plan.partitions), row)) return 1;
    }
    const double folded = processor_seconds();
    StateWrites writes;
    if (!fold->prepare(writes) || !store->apply(writes)) return 1;
    fold->committed();
    written += writes.count();
    const double end = processor_seconds();
    seconds += end - begin;
    writing += end - folded;
  }
  std::cout << one.name << ": "
            << static_cast<std::uint64_t>(static_cast<double>(plan.events) / seconds)
            << " events per second of processor time, " << static_cast<int>(100 * writing / seconds)
            << " % of it writing " << written << " states; " << (fold->memory_bytes() >> 20)
            << " MiB in memory\n";
  return 0;
}

}  // namespace
}  // namespace runnel::bench

int main(int argc, char** argv) {
  runnel::bench::Plan plan;
  CLI::App app{"What views fold, per second of processor time"};
  app.add_option("--events", plan.events, "in all");
  app.add_option("--batch", plan.batch, "events a write");
  app.add_option("--cache-mib", plan.cache_mib, "groups in memory");
  app.add_option("--store-mib", plan.store_mib, "RocksDB's memory");
  app.add_option("--only", plan.only, "one case by its name");
  app.add_flag("--nowhere", plan.nowhere, "fold alone: nothing is stored");
  CLI11_PARSE(app, argc, argv);
  for (const auto& one : runnel::bench::cases()) {
    if (!plan.only.empty() && plan.only != one.name) continue;
    if (runnel::bench::run(plan, one) != 0) return 1;
  }
  return 0;
}
