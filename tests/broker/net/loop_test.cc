#include "broker/net/loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <random>

#include "tests/broker/net/net_support.h"
#include "tests/broker/net/test_sessions.h"

namespace runnel::broker {
namespace {

using std::chrono::milliseconds;

class LoopTest : public BothLoops {};
INSTANTIATE_TEST_SUITE_P(Loops, LoopTest, testing::Values(NetMode::kIoUring, NetMode::kEpoll),
                         loop_name);

void echo_random_sizes(NetMode mode, Place place) {
  const auto seed = static_cast<std::uint32_t>(std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  ListeningLoop loop(mode, echo(place));
  std::mt19937 random(seed);
  std::vector<std::size_t> sizes{1, 2, 4095, 4096, 4097, 16383, 16384, 16385, 4u << 20};
  for (int i = 0; i < 60; ++i) sizes.push_back(1 + random() % (std::size_t{1} << (random() % 20)));
  std::shuffle(sizes.begin(), sizes.end(), random);
  std::size_t total = 0;
  for (const std::size_t size : sizes) total += size;
  const std::string sent = pattern(total, seed);
  Peer peer(loop.port());
  std::thread sender([&] {
    std::size_t at = 0;
    for (const std::size_t size : sizes) {
      EXPECT_TRUE(peer.send(std::string_view(sent).substr(at, size)));
      at += size;
    }
  });
  const std::string got = peer.receive(total);
  sender.join();
  EXPECT_EQ(got.size(), total);
  EXPECT_TRUE(got == sent);
  if (place == Place::kDirect) {
    EXPECT_GT(loop->stats().direct_receives, 0u);
  }
  if (place == Place::kAnywhere) {
    EXPECT_EQ(loop->stats().direct_receives, 0u);
  }
  EXPECT_EQ(loop->stats().bytes_in, total);
}

TEST_P(LoopTest, EchoesRandomSizes) {
  echo_random_sizes(GetParam(), Place::kAnywhere);
}
TEST_P(LoopTest, EchoesRandomSizesReceivedDirectly) {
  echo_random_sizes(GetParam(), Place::kDirect);
}
TEST_P(LoopTest, KeepsOrderAcrossReceiveModes) {
  for (int i = 0; i < 3; ++i) echo_random_sizes(GetParam(), Place::kMixed);
}

/// A file that only the library's own read can reach.
class MemoryFile final : public storage::File {
 public:
  explicit MemoryFile(std::string text) : text_(std::move(text)) {}
  Result<std::size_t> read(std::uint64_t position, MutableBytes into) const override {
    if (position >= text_.size()) return std::size_t{0};
    return text_.copy(reinterpret_cast<char*>(into.data()), into.size(), position);
  }
  Status write(std::uint64_t, std::span<iovec>) override { return {}; }
  Status sync() override { return {}; }
  Status allocate(std::uint64_t) override { return {}; }
  Status truncate(std::uint64_t) override { return {}; }
  Result<std::uint64_t> size() const override { return text_.size(); }
  bool resident(std::uint64_t, std::uint64_t) const override { return true; }
  void will_need(std::uint64_t, std::uint64_t) const override {}
  void dont_need(std::uint64_t, std::uint64_t) const override {}
  int descriptor() const noexcept override { return -1; }
  const std::string& path() const noexcept override { return path_; }

 private:
  const std::string text_;
  const std::string path_ = "memory";
};

std::shared_ptr<storage::File> temporary_file(const std::string& text) {
  const std::string path = testing::TempDir() + "runnel_net_" + std::to_string(::getpid());
  auto file = storage::FileSystem::posix().open(path, {true, true, false, true});
  EXPECT_TRUE(file);
  EXPECT_TRUE((*file)->write(0, as_bytes(text)));
  ::unlink(path.c_str());
  return *file;
}

TEST_P(LoopTest, SendsFileSlicesBetweenBuffers) {
  const std::string content = pattern(3u << 20, 1);
  const std::shared_ptr<const storage::File> real = temporary_file(content);
  const std::shared_ptr<const storage::File> memory = std::make_shared<MemoryFile>(content);
  std::string expected;
  Output output;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string head = "head " + std::to_string(i);
    output.emplace_back(Buffer::copy_of(as_bytes(head)));
    const std::uint64_t from = i * 1000;
    const std::uint64_t length = i % 5 == 0 ? (2u << 20) : i * 37;
    output.emplace_back(storage::FileSlice{i % 2 == 0 ? real : memory, from, length});
    expected += head + content.substr(from, length);
  }
  ListeningLoop loop(GetParam(), scripted({[output](Connection& c, Bytes) { c.send(output); },
                                           nullptr, nullptr, nullptr, nullptr}));
  Peer peer(loop.port());
  ASSERT_TRUE(peer.send("g"));
  EXPECT_TRUE(peer.receive(expected.size()) == expected);
}

TEST_P(LoopTest, CutsTheConnectionWhenAFileIsTooShort) {
  const std::shared_ptr<const storage::File> real = temporary_file("short");
  ListeningLoop loop(GetParam(), scripted({[real](Connection& c, Bytes) {
                                             Output output;
                                             output.emplace_back(storage::FileSlice{real, 0, 6});
                                             c.send(std::move(output));
                                           },
                                           nullptr, nullptr, nullptr, nullptr}));
  Peer peer(loop.port());
  ASSERT_TRUE(peer.send("g"));
  EXPECT_TRUE(peer.ended());
}

TEST_P(LoopTest, SlowReaderGetsBackPressureAndEverything) {
  constexpr std::size_t kChunk = 256u << 10;
  constexpr std::size_t kTotal = 64u << 20;
  Signal signal;
  std::size_t produced = 0;
  std::uint64_t most_unsent = 0;
  int drains = 0;
  bool blocked = false;
  const Buffer chunk = Buffer::copy_of(as_bytes(pattern(kChunk, 3)));
  const auto produce = [&](Connection& c) {
    signal.change([&] {
      while (produced < kTotal && c.unsent_bytes() <= kOutputLowMark) {
        Output output;
        output.emplace_back(chunk);
        c.send(std::move(output));
        produced += kChunk;
        most_unsent = std::max(most_unsent, c.unsent_bytes());
      }
      blocked = blocked || produced < kTotal;
    });
  };
  std::shared_ptr<SessionHandle> handle;
  ListeningLoop loop(GetParam(), scripted({[&](Connection& c, Bytes) {
                                             handle = c.handle();
                                             produce(c);
                                           },
                                           [&](Connection& c) {
                                             signal.change([&] { ++drains; });
                                             produce(c);
                                           },
                                           nullptr, nullptr, nullptr}));
  Peer peer(loop.port());
  ASSERT_TRUE(peer.send("g"));
  ASSERT_TRUE(signal.wait([&] { return blocked; }));
  std::size_t got = 0;
  const std::string expected(reinterpret_cast<const char*>(chunk.data()), kChunk);
  while (got < kTotal) {
    const std::string part = peer.receive(kChunk);
    ASSERT_TRUE(part == expected) << "at " << got;
    got += part.size();
  }
  signal.change([&] {
    EXPECT_GT(drains, 3);
    EXPECT_LE(most_unsent, kOutputLowMark + kChunk);
  });
}

TEST_P(LoopTest, DeliversNothingWhilePaused) {
  Signal signal;
  std::string got;
  bool paused = false;
  std::shared_ptr<SessionHandle> handle;
  Connection* connection = nullptr;
  ListeningLoop loop(GetParam(), scripted({[&](Connection& c, Bytes data) {
                                             signal.change([&] {
                                               EXPECT_FALSE(paused);
                                               got += as_text(data);
                                               if (handle) return;
                                               handle = c.handle();
                                               connection = &c;
                                               paused = true;
                                               c.pause_reading();
                                               c.pause_reading();
                                             });
                                           },
                                           nullptr, nullptr, nullptr, nullptr}));
  Peer peer(loop.port());
  // All of it waits in the socket before the first byte is delivered.
  std::promise<void> entered;
  std::promise<void> leave;
  loop->post([&] {
    entered.set_value();
    leave.get_future().wait();
  });
  entered.get_future().wait();
  const std::string sent = pattern(200'000, 5);
  ASSERT_TRUE(peer.send(sent));
  leave.set_value();
  ASSERT_TRUE(signal.wait([&] { return paused; }));
  // One resume of two changes nothing; posted work passes through several turns meanwhile.
  for (int i = 0; i < 50; ++i) {
    std::promise<void> turned;
    handle->post([&](Session&) {
      if (i == 0) connection->resume_reading();
      turned.set_value();
    });
    turned.get_future().wait();
  }
  handle->post([&](Session&) {
    signal.change([&] { paused = false; });
    connection->resume_reading();
  });
  ASSERT_TRUE(signal.wait([&] { return got.size() == sent.size(); }));
  EXPECT_TRUE(got == sent);
}

TEST_P(LoopTest, PostsArriveInOrderAndAreDroppedAfterTheEnd) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  Signal signal;
  std::shared_ptr<SessionHandle> handle;
  bool ended = false;
  std::vector<int> last(kThreads, -1);
  std::atomic<int> ran{0};
  {
    ListeningLoop loop(
        GetParam(), scripted({nullptr, nullptr, nullptr,
                              [&](Connection& c) { signal.change([&] { handle = c.handle(); }); },
                              [&] { signal.change([&] { ended = true; }); }}));
    Peer peer(loop.port());
    ASSERT_TRUE(signal.wait([&] { return handle != nullptr; }));
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kPosts; ++i) {
          handle->post([&, t, i](Session&) {
            auto& before = last[static_cast<std::size_t>(t)];
            EXPECT_EQ(before, i - 1);
            before = i;
            ++ran;
          });
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(eventually([&] { return ran == kThreads * kPosts; }));
    peer.reset();
    ASSERT_TRUE(signal.wait([&] { return ended; }));
    handle->post([&](Session&) { ++ran; });
    std::promise<void> turned;
    loop->post([&] { turned.set_value(); });
    turned.get_future().wait();
    EXPECT_EQ(ran, kThreads * kPosts);
  }
  handle->post([&](Session&) { ++ran; });
  EXPECT_EQ(ran, kThreads * kPosts);
}

TEST_P(LoopTest, ManyPostsCostOneWake) {
  ListeningLoop loop(GetParam(), echo());
  std::promise<void> entered;
  std::promise<void> leave;
  loop->post([&] {
    entered.set_value();
    leave.get_future().wait();
  });
  entered.get_future().wait();
  const std::uint64_t before = loop->stats().turns;
  std::promise<void> done;
  for (int i = 0; i < 10'000; ++i) loop->post([] {});
  loop->post([&] { done.set_value(); });
  leave.set_value();
  done.get_future().wait();
  EXPECT_LE(loop->stats().turns - before, 4u);
}

TEST_P(LoopTest, PeerResetEndsTheSession) {
  Signal signal;
  int ended = 0;
  ListeningLoop loop(
      GetParam(), scripted({[](Connection& c, Bytes) { c.send(one(pattern(8u << 20, 1))); },
                            nullptr, nullptr, nullptr, [&] { signal.change([&] { ++ended; }); }}));
  {
    Peer quiet(loop.port());
    Peer busy(loop.port());  // does not read: its output is stuck when the reset comes
    ASSERT_TRUE(busy.send("g"));
    EXPECT_EQ(busy.receive(1).size(), 1u);
    quiet.reset();
    busy.reset();
  }
  EXPECT_TRUE(signal.wait([&] { return ended == 2; }));
  EXPECT_TRUE(eventually([&] { return loop->stats().connections == 0; }));
}

TEST_P(LoopTest, HalfClosedPeerStillGetsItsAnswers) {
  ListeningLoop loop(GetParam(), echo());
  Peer peer(loop.port());
  const std::string sent = pattern(512u << 10, 9);
  std::thread sender([&] {
    EXPECT_TRUE(peer.send(sent));
    peer.end_output();
  });
  EXPECT_TRUE(peer.receive_all() == sent);
  EXPECT_TRUE(peer.ended());
  sender.join();
}

TEST_P(LoopTest, CloseSendsEverythingEvenToAPeerThatStillTalks) {
  const std::string answer = pattern(1u << 20, 4);
  ListeningLoop loop(GetParam(), scripted({[&](Connection& c, Bytes) {
                                             c.send(one(answer));
                                             c.close();
                                           },
                                           nullptr, nullptr, nullptr, nullptr}));
  Peer peer(loop.port());
  ASSERT_TRUE(peer.send(pattern(64u << 10, 2)));
  EXPECT_TRUE(peer.receive(answer.size()) == answer);
  EXPECT_TRUE(peer.ended());
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

TEST_P(LoopTest, IdleConnectionsAreCheap) {
  constexpr std::size_t kConnections = 2000;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, std::max<rlim_t>(files.rlim_cur, 5000));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GE(files.rlim_cur, 2 * kConnections + 100) << "raise the limit of open files (ulimit -n)";
  ListeningLoop loop(GetParam(), echo());
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(kConnections);
  const auto open = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      peers.push_back(std::make_unique<Peer>(loop.port()));
      ASSERT_TRUE(peers.back()->send("hello"));
      ASSERT_EQ(peers.back()->receive(5), "hello");
    }
  };
  open(40);  // what the first connections need once
  const std::uint64_t before = resident_bytes();
  open(kConnections - 40);
  const std::uint64_t grown = resident_bytes() - std::min(before, resident_bytes());
  std::printf("%llu bytes of resident memory an idle connection\n",
              static_cast<unsigned long long>(grown / (kConnections - 40)));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(grown / (kConnections - 40), 16u << 10);
#endif
  EXPECT_EQ(loop->stats().connections, kConnections);
}

TEST_P(LoopTest, ManyConnectionsAtOnceAllGetTheirBytes) {
  // More concurrent bursts than there are receive buffers at the start.
  constexpr std::size_t kConnections = 100;
  ListeningLoop loop(GetParam(), echo());
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < kConnections; ++i) {
    peers.push_back(std::make_unique<Peer>(loop.port()));
  }
  std::promise<void> entered;
  std::promise<void> leave;
  loop->post([&] {
    entered.set_value();
    leave.get_future().wait();
  });
  entered.get_future().wait();
  const std::string burst = pattern(20'000, 8);
  for (auto& peer : peers) ASSERT_TRUE(peer->send(burst));
  leave.set_value();
  for (auto& peer : peers) ASSERT_TRUE(peer->receive(burst.size()) == burst);
}

TEST_P(LoopTest, StopsWhileBusy) {
  for (int round = 0; round < 5; ++round) {
    auto loop = std::make_unique<ListeningLoop>(GetParam(), echo(Place::kMixed));
    std::vector<std::thread> threads;
    std::atomic<int> talking{0};
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, port = loop->port()] {
        Peer peer(port);
        const std::string text = pattern(50'000, 1);
        bool first = true;
        while (peer.send(text) && peer.receive(text.size()).size() == text.size()) {
          if (std::exchange(first, false)) ++talking;
        }
      });
    }
    EXPECT_TRUE(eventually([&] { return talking == 6; }));
    loop.reset();
    for (auto& thread : threads) thread.join();
  }
}

TEST_P(LoopTest, CutsConnectionsThatNeverAsk) {
  LoopOptions options;
  options.handshake_timeout = milliseconds(40);
  ListeningLoop loop(GetParam(), scripted({}), options);
  Peer silent(loop.port());
  Peer dripping(loop.port());
  ASSERT_TRUE(dripping.send("x"));
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(dripping.ended());
  EXPECT_EQ(loop->stats().cut_handshake, 2u);
}

TEST_P(LoopTest, CutsIdleConnections) {
  LoopOptions options;
  options.idle_timeout = milliseconds(40);
  ListeningLoop loop(GetParam(), echo(), options);
  Peer peer(loop.port());
  ASSERT_TRUE(peer.send("x"));
  EXPECT_EQ(peer.receive(1), "x");
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(loop->stats().cut_idle, 1u);
}

TEST_P(LoopTest, CutsPeersThatDoNotRead) {
  LoopOptions options;
  options.stall_timeout = milliseconds(60);
  ListeningLoop loop(GetParam(),
                     scripted({[](Connection& c, Bytes) { c.send(one(pattern(32u << 20, 1))); },
                               nullptr, nullptr, nullptr, nullptr}),
                     options);
  Peer peer(loop.port());
  ASSERT_TRUE(peer.send("g"));
  EXPECT_TRUE(
      eventually([&] { return loop->stats().connections == 0 && loop->stats().cut_stalled == 1; }));
}

TEST_P(LoopTest, SmallRequestsTakeFewTurns) {
  ListeningLoop loop(GetParam(), echo());
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 16; ++i) peers.push_back(std::make_unique<Peer>(loop.port()));
  const std::string request = pattern(1024, 2);
  constexpr int kRounds = 500;
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round) {
    for (auto& peer : peers) ASSERT_TRUE(peer->send(request));
    for (auto& peer : peers) ASSERT_EQ(peer->receive(request.size()).size(), request.size());
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  std::printf("%d requests of 1 KiB, 16 connections: %llu turns, %.1f us each\n", kRounds * 16,
              static_cast<unsigned long long>(loop->stats().turns),
              std::chrono::duration<double, std::micro>(took).count() / (kRounds * 16));
  EXPECT_LE(loop->stats().turns, kRounds * 16u * 3);
}

}  // namespace
}  // namespace runnel::broker
