// A service that owns donations and publishes what happened. Run it twice with the same input: the
// second run stores nothing, because every event carries a dedup key.
//   leader_service HOST:PORT < donations.tsv        (lines: donation id, donor, amount in cents)
#include <runnel/client.h>

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  auto client = runnel::connect(argc > 1 ? argv[1] : "localhost:9092");
  if (!client) {
    std::cerr << client.error().to_string() << "\n";
    return 1;
  }
  auto topic = client->admin()
                   .create_topic(
                       {.name = "donations", .partitions = 3, .configs = {}, .if_not_exists = true})
                   .get();
  if (!topic) {
    std::cerr << topic.error().to_string() << "\n";
    return 1;
  }
  auto producer = client->producer();
  std::vector<runnel::Pending<runnel::Delivery>> pending;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream fields(line);
    std::string id, donor, cents;
    if (!(fields >> id >> donor >> cents)) {
      std::cerr << "not \"id donor cents\": " << line << "\n";
      return 3;
    }
    const std::string event = R"({"type":"donation_received","id":")" + id + R"(","donor":")" +
                              donor + R"(","cents":)" + cents + "}";
    pending.push_back(producer.send({.topic = "donations",
                                     .key = donor,
                                     .value = event,
                                     .dedup = runnel::DedupKey{"donations", donor, id}}));
  }
  int stored = 0;
  int known = 0;
  for (auto& p : pending) {
    auto sent = p.get();
    if (!sent) {
      std::cerr << sent.error().to_string() << "\n";
      return 1;
    }
    ++(sent->duplicate ? known : stored);
  }
  std::cout << stored << " stored, " << known << " known already\n";
}
