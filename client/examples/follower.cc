// A read model in SQLite: cents per donor. The offsets live in the same database and change in the
// same transaction as the sums, so every event counts exactly once, whenever this is killed.
//   follower HOST:PORT totals.db
#include <runnel/client.h>
#include <sqlite3.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Statement {
  sqlite3_stmt* handle = nullptr;
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &handle, nullptr); }
  ~Statement() { sqlite3_finalize(handle); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
};

bool run(sqlite3* db, const char* sql) {
  return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::int64_t offset_of(sqlite3* db, std::int32_t partition) {
  Statement s(db, "SELECT next FROM offsets WHERE partition = ?");
  sqlite3_bind_int(s.handle, 1, partition);
  return sqlite3_step(s.handle) == SQLITE_ROW ? sqlite3_column_int64(s.handle, 0) : 0;
}

bool apply(sqlite3* db, const runnel::Record& record) {
  constexpr std::string_view kField = "\"cents\":";
  const std::string value(record.value.value_or(""));
  const auto at = value.find(kField);
  const long long cents = at == std::string::npos ? 0 : std::atoll(&value[at + kField.size()]);
  const std::string donor(record.key.value_or(""));
  Statement sum(
      db,
      "INSERT INTO totals VALUES (?, ?) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents");
  sqlite3_bind_text(sum.handle, 1, donor.data(), static_cast<int>(donor.size()), SQLITE_STATIC);
  sqlite3_bind_int64(sum.handle, 2, cents);
  Statement next(db, "INSERT OR REPLACE INTO offsets VALUES (?, ?)");
  sqlite3_bind_int(next.handle, 1, record.partition);
  sqlite3_bind_int64(next.handle, 2, record.offset + 1);
  return sqlite3_step(sum.handle) == SQLITE_DONE && sqlite3_step(next.handle) == SQLITE_DONE;
}

int fail(std::string_view what) {
  std::cerr << what << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  sqlite3* db = nullptr;
  if (sqlite3_open(argc > 2 ? argv[2] : "totals.db", &db) != SQLITE_OK) return fail("no database");
  sqlite3_busy_timeout(db, 5000);  // others read the totals meanwhile
  if (!run(db,
           "PRAGMA journal_mode = WAL;"
           "CREATE TABLE IF NOT EXISTS totals (donor TEXT PRIMARY KEY, cents INTEGER);"
           "CREATE TABLE IF NOT EXISTS offsets (partition INTEGER PRIMARY KEY, next INTEGER)"))
    return fail(sqlite3_errmsg(db));
  auto client = runnel::connect(argc > 1 ? argv[1] : "localhost:9092");
  if (!client) return fail(client.error().to_string());
  auto topics = client->admin().describe_topics({"donations"}).get();
  if (!topics) return fail(topics.error().to_string());
  std::vector<std::pair<runnel::TopicPartition, runnel::Position>> places;
  for (const auto& p : topics->front().partitions)
    places.push_back(
        {{"donations", p.partition}, runnel::Position::at(offset_of(db, p.partition))});
  auto consumer = client->consumer();
  if (auto ok = consumer.assign(std::move(places)).get(); !ok) return fail(ok.error().to_string());
  for (;;) {
    auto batch = consumer.poll(std::chrono::seconds(1)).get();
    if (!batch) return fail(batch.error().to_string());
    if (batch->empty()) continue;
    bool good = run(db, "BEGIN");
    for (const auto& record : *batch) good = good && apply(db, record);
    if (!good || !run(db, "COMMIT")) return fail(sqlite3_errmsg(db));
    std::cout << batch->size() << " events counted" << std::endl;
  }
}
