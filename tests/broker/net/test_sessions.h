// Sessions and bytes for tests of the loops.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "broker/net/session.h"

namespace runnel::broker {

enum class Place { kAnywhere, kDirect, kMixed };

/// Sends back what it gets, and stops reading while too much waits to be sent.
class Echo final : public Session {
 public:
  Echo(Connection& connection, Place place) : connection_(connection), place_(place) {}

  MutableBytes receive_into() override {
    if (place_ == Place::kAnywhere) return {};
    if (place_ == Place::kMixed && random_() % 3 == 0) return {};
    return area_;
  }
  void received(Bytes data) override {
    Output output;
    output.emplace_back(Buffer::copy_of(data));
    connection_.send(std::move(output));
    if (connection_.unsent_bytes() > kOutputLowMark && !paused_) {
      paused_ = true;
      connection_.pause_reading();
    }
  }
  void drained() override {
    if (std::exchange(paused_, false)) connection_.resume_reading();
  }
  void shutting_down() override { connection_.close(); }

 private:
  Connection& connection_;
  const Place place_;
  std::vector<std::byte> area_ = std::vector<std::byte>(place_ == Place::kAnywhere ? 0 : 48u << 10);
  std::minstd_rand random_{7};
  bool paused_ = false;
};

inline SessionFactory echo(Place place = Place::kAnywhere) {
  return [place](Connection& connection) { return std::make_unique<Echo>(connection, place); };
}

/// A session made of callbacks.
class Scripted final : public Session {
 public:
  struct Calls {
    std::function<void(Connection&, Bytes)> received;
    std::function<void(Connection&)> drained;
    std::function<void(Connection&)> shutting_down;
    std::function<void(Connection&)> opened;
    std::function<void()> destroyed;
  };
  Scripted(Connection& connection, const Calls& calls) : connection_(connection), calls_(calls) {
    if (calls_.opened) calls_.opened(connection_);
  }
  ~Scripted() override {
    if (calls_.destroyed) calls_.destroyed();
  }
  void received(Bytes data) override {
    if (calls_.received) calls_.received(connection_, data);
  }
  void drained() override {
    if (calls_.drained) calls_.drained(connection_);
  }
  void shutting_down() override {
    if (calls_.shutting_down) return calls_.shutting_down(connection_);
    connection_.close();
  }

 private:
  Connection& connection_;
  const Calls calls_;
};

inline SessionFactory scripted(Scripted::Calls calls) {
  return [calls](Connection& c) { return std::make_unique<Scripted>(c, calls); };
}

inline Output one(std::string_view text) {
  Output output;
  output.emplace_back(Buffer::copy_of(as_bytes(text)));
  return output;
}

inline std::string pattern(std::size_t size, std::uint32_t seed) {
  std::string text(size, '\0');
  std::mt19937 random(seed);
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace runnel::broker
