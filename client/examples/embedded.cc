// A store in this process, no server: everything the broker's clients have. Run it twice: the
// second run goes on where the first one ended.
//   embedded DIRECTORY
#include <runnel/client.h>

#include <iostream>
#include <string>
#include <thread>

namespace {

/// The value, or the end of the program with what went wrong.
template <class T>
T checked(runnel::Outcome<T> outcome) {
  if (!outcome) {
    std::cerr << outcome.error().to_string() << "\n";
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(outcome).value();
}

void make_topic(runnel::Client& client, const char* name,
                std::vector<runnel::TopicConfig> configs) {
  checked(client.admin().create_topic({name, 1, std::move(configs), true}).get());
}

}  // namespace

int main(int argc, char** argv) {
  auto client = checked(runnel::open(argc > 1 ? argv[1] : "./data"));
  // Retention and compaction run by themselves while the store is open.
  make_topic(client, "orders", {{"retention.ms", "2592000000"}});
  make_topic(client, "customers", {{"cleanup.policy", "compact"}});
  make_topic(client, "large", {});

  // One atomic write of several topics.
  runnel::Transaction write;
  write.add({.topic = "orders", .key = "ann", .value = R"({"amount":250})"})
      .add({.topic = "orders", .key = "bob", .value = R"({"amount":3})"})
      .add({.topic = "customers", .key = "ann", .value = "two orders"});
  const runnel::Committed stored = checked(client.commit(write).get());
  std::cout << "stored up to offset " << stored.deliveries[1].offset << "\n";

  // A consumer group, as over the network.
  runnel::ConsumerOptions options;
  options.group = "report";
  options.topics = {"orders"};
  auto consumer = client.consumer(options);
  int seen = 0;
  while (seen < 2) {
    const runnel::Batch batch = checked(consumer.poll(std::chrono::seconds(1)).get());
    for (const runnel::Record& record : batch) {
      std::cout << "report: " << *record.key << " " << *record.value << "\n";
      ++seen;
    }
  }
  checked(consumer.commit().get());
  checked(consumer.close());

  // The large orders of all times into a topic of their own, each once however often this runs.
  runnel::ReplayOptions large;
  large.ranges = {{{"orders", 0}, 0, stored.deliveries[1].offset + 1}};
  large.filter = {".amount>=100"};
  large.name = "large-" + std::to_string(stored.deliveries[1].offset);
  large.into = runnel::ReplayTarget{"large", false, ""};
  auto replay = checked(runnel::Replay::open(client, large));
  checked(replay.run());
  std::cout << "replayed " << replay.progress().records << "\n";

  // Ann leaves: nothing with her key is left, in any file of the directory.
  const auto erasure = checked(client.admin().erase_key("orders", "ann").get());
  while (!checked(client.admin().erasures(erasure.id).get()).front().gone) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::cout << "erased " << checked(client.admin().erasures(erasure.id).get()).front().records
            << "\n";
}
