// Scripts of SQL with the rows that are expected: scripts/README.md says how they are written.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/storage/views/query/sql_session.h"

namespace runnel::storage::views {

/// A part of a script: a line that says what it is, and the lines up to the next empty one.
struct ScriptBlock {
  std::size_t line = 0;
  std::vector<std::string> head;  ///< words of the first line
  std::string tail;               ///< the first line behind its second word
  std::vector<std::string> body;
  std::vector<std::string> expected;  ///< behind ----
};
[[nodiscard]] std::vector<ScriptBlock> read_script(const std::filesystem::path& path);

/// A row as scripts have it: cells with | between them.
[[nodiscard]] std::string shown_row(std::span<const Value> row);
/// A letter a column: I D R T B Z A J.
[[nodiscard]] std::string letters_of(const Answer& answer);

class ScriptRunner {
 public:
  /// Reports what does not hold with file and line.
  void run(const std::filesystem::path& path);
  /// Statements and queries that were checked.
  [[nodiscard]] std::size_t checked() const noexcept { return checked_; }

 private:
  void run_block(const ScriptBlock& block);
  void run_statement(const ScriptBlock& block);
  void run_query(const ScriptBlock& block);
  void run_records(const ScriptBlock& block);
  void check_notice(const ScriptBlock& block);

  std::unique_ptr<SqlSession> session_;
  std::string name_;
  std::vector<std::string> notices_;
  std::size_t checked_ = 0;
};

}  // namespace runnel::storage::views
