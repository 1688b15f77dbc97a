// What SQLite is given of ours: the order of DECIMAL and TIMESTAMPTZ, and searches in texts that
// end.
#pragma once

struct sqlite3;

namespace runnel::storage::views {

/// Of a value in bytes. A record's is seldom as long, and functions of SQLite look at no clock.
inline constexpr int kMostTextBytes = 1 << 20;

/// The collations runnel_decimal and runnel_time; instr and replace as SQLite has them, but in
/// linear time; trim, ltrim and rtrim, which take some characters only. SQLite's code.
[[nodiscard]] int add_functions(sqlite3* database);

}  // namespace runnel::storage::views
