// A misbehaving connection beside a good client, over a real broker.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "protocol/base/bytes.h"
#include "protocol/native/codec.h"
#include "tests/client/real_broker.h"

namespace runnel::client {
namespace {

namespace native = protocol::native;

/// A socket that says what a test likes.
class RawConnection {
 public:
  explicit RawConnection(const std::string& address) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    send(as_bytes(native::kPreface));
    send(native::encode(0, native::Hello{"raw", "1", 1, 1}).bytes());
    std::byte reply[64];
    EXPECT_GT(::recv(fd_, reply, sizeof reply, 0), 0);
  }
  ~RawConnection() { ::close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;
  void send(Bytes bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

 private:
  int fd_ = -1;
};

struct NeighboursTest : RealFixture {
  void SetUp() override { connect_client(); }
};

TEST_F(NeighboursTest, AnnouncedFramesThatDoNotComeHoldNobodyUp) {
  make_topic("t");
  std::vector<std::unique_ptr<RawConnection>> slow;
  std::byte head[8];
  store_le<std::uint32_t>(head, (8u << 20) - 4);
  store_le<std::uint32_t>(head + 4, 100);
  for (int i = 0; i < 50; ++i) {
    slow.push_back(std::make_unique<RawConnection>(broker->address()));
    slow.back()->send(head);
  }
  ClientOptions quick;
  quick.connect_timeout = 2s;
  const auto newcomer = connect(broker->address(), quick);
  ASSERT_TRUE(newcomer) << newcomer.error().to_string();
  ASSERT_TRUE(client->admin().statistics().get());
  produce("t", 100);
  EXPECT_EQ(read_all("t").size(), 100U);
}

TEST_F(NeighboursTest, BusyPartitionsDoNotStarveTheLastOne) {
  constexpr std::int32_t kPartitions = 12;
  make_topic("t", kPartitions);
  const std::string large(100'000, 'x');
  auto producer = client->producer();
  std::vector<Pending<Delivery>> sent;
  for (int round = 0; round < 10; ++round) {
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      sent.push_back(producer.send(message("t", large, p)));
      ASSERT_TRUE(producer.flush());  // a batch of its own
    }
  }
  for (auto& s : sent) ASSERT_TRUE(s.get());
  ConsumerOptions options;
  options.fetch_bytes = 250'000;
  options.partition_bytes = 100'100;
  options.max_records = 1;
  auto consumer = client->consumer(options);
  std::vector<std::pair<TopicPartition, Position>> all;
  for (std::int32_t p = 0; p < kPartitions; ++p) all.push_back({{"t", p}, Position::earliest()});
  ASSERT_TRUE(consumer.assign(all).get());
  std::set<std::int32_t> seen;
  for (int polls = 0; polls < 3 * kPartitions && seen.size() < kPartitions; ++polls) {
    auto batch = consumer.poll(10s).get();
    ASSERT_TRUE(batch) << batch.error().to_string();
    for (const auto& r : *batch) seen.insert(r.partition);
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kPartitions));
}

}  // namespace
}  // namespace runnel::client
