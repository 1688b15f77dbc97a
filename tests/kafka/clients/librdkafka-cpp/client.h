// A producer and a consumer of librdkafka's C++ API with errors as exceptions, and what the checks
// say to the suite that runs them.
#pragma once

#include <librdkafka/rdkafkacpp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using Clock = std::chrono::steady_clock;
using Settings = std::vector<std::pair<std::string, std::string>>;
using Strings = std::vector<std::string>;
using Message = std::unique_ptr<RdKafka::Message>;

inline constexpr int kPatienceMs = 45'000;

inline std::mutex output;

inline void tell(const std::string& line) {
  const std::lock_guard lock(output);
  std::cout << line << std::endl;
}

inline std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + '"';
}

inline void kill_broker() {
  tell(R"({"ask": "kill"})");
  std::string line;
  std::getline(std::cin, line);
}

inline Strings values(int count, int start = 0) {
  Strings all;
  for (int i = start; i < start + count; ++i) all.push_back("v-" + std::to_string(i));
  return all;
}

inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

inline void require(RdKafka::ErrorCode code, const std::string& what) {
  require(code == RdKafka::ERR_NO_ERROR, what + ": " + RdKafka::err2str(code));
}

/// Takes ownership of an error that may be null.
inline void require(RdKafka::Error* error, const std::string& what) {
  const std::unique_ptr<RdKafka::Error> owned(error);
  require(!owned, what + ": " + (owned ? owned->str() : ""));
}

inline void wait_for(const std::string& what, const std::function<bool()>& condition) {
  const auto end = Clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!condition()) require(Clock::now() < end, "still not: " + what);
}

/// Counts what was delivered and keeps the last error.
struct Reports : RdKafka::DeliveryReportCb {
  void dr_cb(RdKafka::Message& message) override {
    if (message.err()) {
      error = message.err();
    } else {
      ++delivered;
    }
  }
  int delivered = 0;
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;
};

class Producer {
 public:
  Producer(const std::string& bootstrap, const Settings& more) {
    const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string error;
    conf->set("bootstrap.servers", bootstrap, error);
    conf->set("dr_cb", &reports_, error);
    for (const auto& [name, value] : more) {
      require(conf->set(name, value, error) == RdKafka::Conf::CONF_OK, error);
    }
    producer_.reset(RdKafka::Producer::create(conf.get(), error));
    require(producer_ != nullptr, error);
  }

  RdKafka::Producer* operator->() const { return producer_.get(); }

  RdKafka::ErrorCode produce(const std::string& topic, int partition, const std::string* key,
                             const std::string* value, std::int64_t timestamp = 0,
                             RdKafka::Headers* headers = nullptr) {
    return producer_->produce(topic, partition, RdKafka::Producer::RK_MSG_COPY,
                              value ? const_cast<char*>(value->data()) : nullptr,
                              value ? value->size() : 0, key ? key->data() : nullptr,
                              key ? key->size() : 0, timestamp, headers, nullptr);
  }

  void send(const std::string& topic, const Strings& texts, int partition = 0) {
    for (const auto& text : texts) require(produce(topic, partition, nullptr, &text), "produce");
    flush();
  }

  void flush() {
    require(producer_->flush(kPatienceMs), "flush");
    require(reports_.error, "delivery");
  }

 private:
  Reports reports_;
  std::unique_ptr<RdKafka::Producer> producer_;
};

class Consumer {
 public:
  Consumer(const std::string& bootstrap, const std::string& group, const Settings& more) {
    const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string error;
    Settings settings = {{"bootstrap.servers", bootstrap},  {"group.id", group},
                         {"auto.offset.reset", "earliest"}, {"enable.auto.commit", "false"},
                         {"session.timeout.ms", "6000"},    {"fetch.wait.max.ms", "50"}};
    settings.insert(settings.end(), more.begin(), more.end());
    for (const auto& [name, value] : settings) {
      require(conf->set(name, value, error) == RdKafka::Conf::CONF_OK, error);
    }
    consumer_.reset(RdKafka::KafkaConsumer::create(conf.get(), error));
    require(consumer_ != nullptr, error);
  }
  ~Consumer() { consumer_->close(); }
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  RdKafka::KafkaConsumer* operator->() const { return consumer_.get(); }

  /// The next message, or null after a short while.
  Message poll() {
    Message message(consumer_->consume(100));
    const RdKafka::ErrorCode code = message->err();
    if (code == RdKafka::ERR__TIMED_OUT || code == RdKafka::ERR_UNKNOWN_TOPIC_OR_PART) return {};
    require(code, "consume");
    return message;
  }

  std::vector<Message> take(std::size_t count) {
    std::vector<Message> taken;
    wait_for(std::to_string(count) + " records read", [&] {
      if (auto message = poll()) taken.push_back(std::move(message));
      return taken.size() >= count;
    });
    return taken;
  }

  std::size_t owned() const {
    std::vector<RdKafka::TopicPartition*> partitions;
    consumer_->assignment(partitions);
    const std::size_t count = partitions.size();
    RdKafka::TopicPartition::destroy(partitions);
    return count;
  }

 private:
  std::unique_ptr<RdKafka::KafkaConsumer> consumer_;
};

inline std::string text_of(const Message& message) {
  return {static_cast<const char*>(message->payload()), message->len()};
}

/// What is left of a message: a message has to go before its consumer does.
struct Record {
  explicit Record(const Message& message)
      : value(text_of(message)),
        has_key(message->key() != nullptr),
        has_value(message->payload() != nullptr),
        timestamp(message->timestamp().timestamp) {
    if (message->headers() == nullptr) return;
    for (const auto& each : message->headers()->get_all()) {
      headers.push_back(each.key() + "=" +
                        std::string(static_cast<const char*>(each.value()), each.value_size()));
    }
  }
  std::string value;
  bool has_key;
  bool has_value;
  std::int64_t timestamp;
  Strings headers;
};

inline std::vector<Record> copies(const std::vector<Message>& messages) {
  std::vector<Record> records;
  for (const auto& message : messages) records.emplace_back(message);
  return records;
}

inline Strings texts_of(const std::vector<Record>& records) {
  Strings texts;
  for (const auto& record : records) texts.push_back(record.value);
  return texts;
}
