#include "tests/storage/views/query/script.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "storage/views/types/time_text.h"

namespace runnel::storage::views {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace

std::vector<ScriptBlock> read_script(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<ScriptBlock> blocks;
  std::string line;
  std::size_t number = 0;
  bool inside = false;
  bool results = false;
  while (std::getline(file, line)) {
    ++number;
    if (line.empty()) {
      inside = false;
      continue;
    }
    if (!inside && line.starts_with("#")) continue;
    if (!inside) {
      ScriptBlock& block = blocks.emplace_back();
      block.line = number;
      std::istringstream words(line);
      for (std::string word; words >> word;) block.head.push_back(word);
      const std::size_t first = line.find(' ');
      const std::size_t second = first == std::string::npos ? first : line.find(' ', first + 1);
      if (second != std::string::npos) block.tail = line.substr(second + 1);
      inside = true;
      results = false;
    } else if (line == "----") {
      results = true;
    } else {
      (results ? blocks.back().expected : blocks.back().body).push_back(line);
    }
  }
  return blocks;
}

std::string shown_row(std::span<const Value> row) {
  std::string text;
  for (const Value& value : row) {
    std::string cell = to_string(value);
    if (value.tag() == Tag::kText && cell.empty()) cell = "(empty)";
    text += (text.empty() ? "" : " | ") + cell;
  }
  return text;
}

std::string letters_of(const Answer& answer) {
  std::string letters;
  for (const AnswerColumn& column : answer.columns) {
    letters += "BIRDTZAJ"[static_cast<std::size_t>(column.type.kind)];
  }
  return letters;
}

void ScriptRunner::run(const std::filesystem::path& path) {
  name_ = path.filename().string();
  session_ = std::make_unique<SqlSession>();
  for (const ScriptBlock& block : read_script(path)) {
    run_block(block);
    if (testing::Test::HasFatalFailure()) return;
  }
  session_.reset();
}

void ScriptRunner::run_block(const ScriptBlock& block) {
  SCOPED_TRACE(name_ + ":" + std::to_string(block.line) + ": " + joined(block.body));
  const std::string& kind = block.head.front();
  if (kind == "statement") return run_statement(block);
  if (kind == "query") return run_query(block);
  if (kind == "records") return run_records(block);
  if (kind == "notice") return check_notice(block);
  if (kind == "restart") return session_->restart();
  ASSERT_EQ(kind, "topic") << "no kind of block";
  session_->create_topic(block.head.at(1), block.head.size() > 2 ? std::stoi(block.head.at(2)) : 1);
}

void ScriptRunner::run_statement(const ScriptBlock& block) {
  ++checked_;
  const auto done = session_->execute(joined(block.body));
  if (block.head.at(1) == "ok") {
    ASSERT_TRUE(done) << done.error().to_string();
    notices_ = done->empty() ? std::vector<std::string>() : done->back().notices;
    return;
  }
  ASSERT_EQ(block.head.at(1), "error");
  ASSERT_FALSE(done) << "an error was expected: " << block.tail;
  EXPECT_NE(done.error().message().find(block.tail), std::string::npos)
      << "gives:    " << done.error().message() << "\nexpected: " << block.tail;
}

void ScriptRunner::run_query(const ScriptBlock& block) {
  ++checked_;
  const std::string how = block.head.size() > 2 ? block.head[2] : "";
  std::vector<std::string> expected = block.expected;
  if (how == "rowsort") std::sort(expected.begin(), expected.end());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (true) {
    const auto done = session_->execute(joined(block.body));
    const bool again = how == "eventually" && std::chrono::steady_clock::now() < until;
    if (!done && again) continue;
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_EQ(done->size(), 1u);
    const Answer& answer = done->front();
    std::vector<std::string> rows;
    for (std::size_t i = 0; i < answer.rows.size(); ++i) rows.push_back(shown_row(answer.rows[i]));
    if (how == "rowsort") std::sort(rows.begin(), rows.end());
    if (again && rows != expected) continue;
    EXPECT_EQ(letters_of(answer), block.head.at(1)) << "the columns' types";
    EXPECT_EQ(joined(rows), joined(expected));
    notices_ = answer.notices;
    return;
  }
}

/// records TOPIC [PARTITION [TIME]]: a line is JSON; or a key, a blank and JSON; or a key, a blank
/// and -, a tombstone; or ! and bytes that are written as they are.
void ScriptRunner::run_records(const ScriptBlock& block) {
  const std::int32_t partition = block.head.size() > 2 ? std::stoi(block.head[2]) : 0;
  std::int64_t micros = 1'798'675'200'000'000;  // 2026-12-31T00:00:00Z
  if (block.head.size() > 3) {
    ASSERT_EQ(timestamp_from_text(block.head[3], nullptr, micros), RowError::kNone);
  }
  std::vector<SqlSession::Line> lines;
  for (const std::string& line : block.body) {
    const std::size_t blank = line.find(' ');
    if (line.starts_with("!")) {
      lines.push_back({std::nullopt, line.substr(1)});
    } else if (line.starts_with("{")) {
      lines.push_back({std::nullopt, line});
    } else if (line.substr(blank + 1) == "-") {
      lines.push_back({line.substr(0, blank), std::nullopt});
    } else {
      lines.push_back({line.substr(0, blank), line.substr(blank + 1)});
    }
  }
  session_->append(block.head.at(1), partition, micros / 1000, lines);
}

void ScriptRunner::check_notice(const ScriptBlock& block) {
  ++checked_;
  const std::string text = block.head.size() > 1
                               ? block.head[1] + (block.tail.empty() ? "" : " " + block.tail)
                               : std::string();
  if (text == "none") {
    EXPECT_EQ(joined(notices_), "");
  } else {
    EXPECT_NE(joined(notices_).find(text), std::string::npos) << "gives: " << joined(notices_);
  }
}

}  // namespace runnel::storage::views
