// A catalogue with the sources of the fundraising example, for tests of the binder.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "storage/views/plan/bind.h"
#include "storage/views/sql/parser.h"

namespace runnel::storage::views {

class World : public Catalog {
 public:
  World() {
    add("CREATE SOURCE donations (id VARCHAR, campaign VARCHAR NOT NULL, amount DECIMAL(12,2), "
        "tip DOUBLE, points BIGINT, anonymous BOOLEAN, country VARCHAR PATH '$.donor.country', "
        "at TIMESTAMPTZ, born DATE, extra JSON, WATERMARK FOR at AS at - INTERVAL '5 minutes') "
        "ON TOPIC 'donations'");
    add("CREATE TABLE campaigns (campaign VARCHAR, title VARCHAR, goal DECIMAL(12,2), "
        "PRIMARY KEY (campaign)) ON TOPIC 'campaigns'");
    add("CREATE TABLE rates (country VARCHAR, kind BIGINT, rate DECIMAL(9,6), "
        "PRIMARY KEY (country, kind)) ON TOPIC 'rates'");
  }

  [[nodiscard]] const SourcePlan* find_source(std::string_view name) const override {
    const auto found = sources_.find(std::string(name));
    return found == sources_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool is_view(std::string_view name) const override { return name == "totals"; }
  [[nodiscard]] std::vector<std::string_view> source_names() const override {
    std::vector<std::string_view> names;
    for (const auto& [name, plan] : sources_) names.push_back(name);
    return names;
  }

 private:
  void add(const std::string& sql) {
    const auto statement = sql::parse_statement(sql);
    ASSERT_TRUE(statement) << statement.error().message();
    auto plan = bind_source(std::get<sql::CreateSource>(*statement));
    ASSERT_TRUE(plan) << plan.error().message();
    sources_.emplace(plan->name, *plan);
  }

  std::map<std::string, SourcePlan> sources_;
};

/// The plan, or in `error` why there is none.
inline ViewPlan view_of(const std::string& sql, std::string& error) {
  static const World world;
  const auto statement = sql::parse_statement(sql);
  if (!statement) {
    error = statement.error().message();
    return {};
  }
  auto plan = bind_view(std::get<sql::CreateView>(*statement), sql, world);
  error = plan ? "" : plan.error().message();
  return plan ? *plan : ViewPlan{};
}

}  // namespace runnel::storage::views
