// The examples as a newcomer runs them: real processes against a broker, killed without warning.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

class ExamplesTest : public RealFixture {
 protected:
  void SetUp() override { connect_client(); }

  /// Starts `program` with standard input, output and error in files. Its pid.
  static pid_t start(const std::vector<std::string>& words, const std::string& in,
                     const std::string& out) {
    std::vector<char*> argv;
    for (const auto& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int input = ::open(in.c_str(), O_RDONLY);
    const int output = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(output, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  static int wait_for(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  static std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  /// Donations `from` to `to`, of ten donors, each of its number in cents.
  std::string donations(int from, int to) {
    const std::string path = directory.path() + "/donations.tsv";
    std::ofstream file(path);
    for (int i = from; i < to; ++i) file << "d" << i << "\tdonor" << i % 10 << "\t" << i << "\n";
    return path;
  }
  std::string publish(int from, int to) {
    const std::string out = directory.path() + "/leader.out";
    const pid_t pid = start({RUNNEL_LEADER, broker->address()}, donations(from, to), out);
    EXPECT_EQ(wait_for(pid), 0);
    return text_of(out);
  }
  pid_t follow() {
    return start({RUNNEL_FOLLOWER, broker->address(), database()}, "/dev/null",
                 directory.path() + "/follower.out");
  }
  std::string database() { return directory.path() + "/totals.db"; }
  /// The read model's sum; -1 while there is none.
  long long total() {
    sqlite3* db = nullptr;
    sqlite3_stmt* query = nullptr;
    long long sum = -1;
    if (sqlite3_open_v2(database().c_str(), &db, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT coalesce(sum(cents), 0) FROM totals", -1, &query, nullptr) ==
            SQLITE_OK &&
        sqlite3_step(query) == SQLITE_ROW)
      sum = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    sqlite3_close(db);
    return sum;
  }
  static long long sum_to(int n) { return static_cast<long long>(n) * (n - 1) / 2; }
};

TEST_F(ExamplesTest, TheLeaderPublishesTwiceAndStoresOnce) {
  EXPECT_EQ(publish(0, 300), "300 stored, 0 known already\n");
  EXPECT_EQ(publish(0, 300), "0 stored, 300 known already\n");
  EXPECT_EQ(publish(200, 400), "100 stored, 100 known already\n");
  std::size_t records = 0;
  for (std::int32_t p = 0; p < 3; ++p) records += read_all("donations", p).size();
  EXPECT_EQ(records, 400U);
}

TEST_F(ExamplesTest, TheFollowersTotalsAreRightThoughItIsKilled) {
  publish(0, 300);
  int published = 300;
  for (int round = 0; round < 3; ++round) {
    const pid_t follower = follow();
    publish(published, published + 200);  // while it reads
    published += 200;
    const long long before = round == 0 ? 0 : sum_to(published - 200);
    ASSERT_TRUE(eventually([&] { return total() > before; }));
    ::kill(follower, SIGKILL);
    EXPECT_EQ(wait_for(follower), 128 + SIGKILL);
    const pid_t again = follow();
    EXPECT_TRUE(eventually([&] { return total() == sum_to(published); })) << total();
    ::kill(again, SIGKILL);
    wait_for(again);
  }
}

/// The same, without a broker.
class EmbeddedExampleTest : public ExamplesTest {
 protected:
  void SetUp() override {}
  int run(std::string& printed) {
    const std::string out = directory.path() + "/embedded.out";
    const pid_t pid = start({RUNNEL_EMBEDDED, store()}, "/dev/null", out);
    const int code = wait_for(pid);
    printed = text_of(out);
    return code;
  }
  std::string store() { return directory.path() + "/store"; }
};

TEST_F(EmbeddedExampleTest, ItDoesWhatABrokerDoesAndGoesOnWhereItWas) {
  std::string printed;
  ASSERT_EQ(run(printed), 0) << printed;
  EXPECT_EQ(printed,
            "stored up to offset 1\nreport: ann {\"amount\":250}\nreport: bob {\"amount\":3}\n"
            "replayed 1\nerased 1\n");
  ASSERT_EQ(run(printed), 0) << printed;
  EXPECT_EQ(printed,
            "stored up to offset 3\nreport: ann {\"amount\":250}\nreport: bob {\"amount\":3}\n"
            "replayed 1\nerased 1\n");
}

TEST_F(EmbeddedExampleTest, TwoProgramsOnOneDirectoryGetAClearError) {
  const auto held = open(store());
  ASSERT_TRUE(held) << held.error().to_string();
  std::string printed;
  EXPECT_EQ(run(printed), 1);
  EXPECT_NE(printed.find("locked: "), std::string::npos) << printed;
  EXPECT_NE(printed.find("process " + std::to_string(::getpid()) + " holds it"), std::string::npos)
      << printed;
  const auto second = open(store());  // within one program, too
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().errc(), Errc::locked);
  EXPECT_NE(second.error().message().find(store()), std::string::npos) << second.error().message();
  EXPECT_NE(second.error().message().find("this process has it open"), std::string::npos)
      << second.error().message();
}

}  // namespace
}  // namespace runnel::client
