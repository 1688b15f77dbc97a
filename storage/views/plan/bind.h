// Statements to plans: names are looked up, types checked, expressions compiled.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/views/plan/plan.h"

namespace runnel::storage::views {

inline constexpr std::size_t kMaxColumns = 1000;     ///< of a source
inline constexpr std::size_t kMaxGroupColumns = 32;  ///< of a GROUP BY
inline constexpr std::size_t kMaxAggregates = 256;   ///< of a view

/// What is there to be read. Thread safety: the binder's caller sees to it.
class Catalog {
 public:
  virtual ~Catalog() = default;
  /// A source or a table; nullptr: there is none of that name. Lives as long as the call.
  [[nodiscard]] virtual const SourcePlan* find_source(std::string_view name) const = 0;
  [[nodiscard]] virtual bool is_view(std::string_view name) const = 0;
  /// Of sources and tables, for suggestions.
  [[nodiscard]] virtual std::vector<std::string_view> source_names() const = 0;
};

// Errors are kInvalidArgument with line and column, what was expected and, where a name is unknown,
// the nearest one. Nothing is created; whether a topic exists is not asked.
[[nodiscard]] Result<SourcePlan> bind_source(const sql::CreateSource& statement);
/// `sql` is kept in the plan.
[[nodiscard]] Result<ViewPlan> bind_view(const sql::CreateView& statement, std::string_view sql,
                                         const Catalog& catalog);
[[nodiscard]] Result<StreamPlan> bind_stream(const sql::CreateStream& statement,
                                             std::string_view sql, const Catalog& catalog);

/// What a WITH (...) or an ALTER ... SET (...) says, on top of `options`.
[[nodiscard]] Status bind_options(const std::vector<sql::Option>& given, ViewOptions& options);

}  // namespace runnel::storage::views
