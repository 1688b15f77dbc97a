// A ticker: the highest totals of a view, printed anew whenever they change.
//   ticker HOST:PORT VIEW NAME-COLUMN NUMBER-COLUMN [CHANGES]
#include <runnel/client.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr int kDigits = 2;  // money in cents: never a double
constexpr std::size_t kShown = 3;

struct Entry {
  std::string name;
  std::int64_t cents = 0;
};

/// What the view's rows are, by the key of their group.
class Board {
 public:
  Board(std::string name, std::string number)
      : name_(std::move(name)), number_(std::move(number)) {}

  void apply(const runnel::ViewChange& change) {
    if (change.kind == runnel::ViewChange::Kind::reset) entries_.clear();
    for (std::size_t i = 0; i < change.marks.size(); ++i) {
      const std::string& key = change.marks[i].key;
      if (change.marks[i].change == runnel::RowChange::deleted) {
        entries_.erase(key);
        continue;
      }
      const runnel::ViewRow row = change.rows[i];
      entries_[key] = {row.get<std::string>(name_).value_or("?"),
                       row.scaled(number_, kDigits).value_or(0)};
    }
  }

  [[nodiscard]] std::string line() const {
    std::vector<Entry> best;
    for (const auto& [key, entry] : entries_) best.push_back(entry);
    std::sort(best.begin(), best.end(), [](const Entry& a, const Entry& b) {
      return std::pair(-a.cents, a.name) < std::pair(-b.cents, b.name);
    });
    std::string out;
    for (std::size_t i = 0; i < std::min(best.size(), kShown); ++i) {
      const std::string cents = std::to_string(best[i].cents % 100);
      out += (i > 0 ? "  " : "") + best[i].name + " " + std::to_string(best[i].cents / 100) + "." +
             (cents.size() < 2 ? "0" : "") + cents;
    }
    return out;
  }

 private:
  const std::string name_, number_;
  std::map<std::string, Entry> entries_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::cerr << "usage: ticker HOST:PORT VIEW NAME-COLUMN NUMBER-COLUMN [CHANGES]\n";
    return 2;
  }
  auto client = runnel::connect(argv[1]);
  if (!client) {
    std::cerr << client.error().to_string() << "\n";
    return 1;
  }
  std::mutex mutex;
  std::condition_variable news;
  int left = argc > 5 ? std::atoi(argv[5]) : -1;
  std::optional<std::string> problem;
  Board board(argv[3], argv[4]);

  runnel::ViewSubscribeOptions options;
  options.view = argv[2];
  const auto on_change = [&](runnel::Outcome<runnel::ViewChange> change) {
    const std::lock_guard lock(mutex);
    if (!change) {
      problem = change.error().to_string();
    } else {
      board.apply(*change);
      if (change->more) return;  // the rows are not all of one moment yet
      std::cout << board.line() << std::endl;
      if (left > 0) --left;
    }
    news.notify_one();
  };
  auto subscription = client->views().subscribe(std::move(options), on_change).get();
  if (!subscription) {
    std::cerr << subscription.error().to_string() << "\n";
    return 1;
  }
  std::unique_lock lock(mutex);
  news.wait(lock, [&] { return left == 0 || problem; });
  lock.unlock();
  subscription->stop();
  if (problem) std::cerr << *problem << "\n";
  return problem ? 1 : 0;
}
