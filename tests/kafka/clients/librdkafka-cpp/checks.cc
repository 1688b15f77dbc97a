// librdkafka's C++ API. It has no admin client: topics come to be by writing to them, which leaves
// out the checks that need a topic's configuration. clients/python/program.py describes the lines.
#include "client.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

namespace {

class Checks {
 public:
  Checks(std::string bootstrap, std::string prefix)
      : bootstrap_(std::move(bootstrap)), prefix_(std::move(prefix)) {}

  void codec(const std::string& codec) {
    const std::string topic = prefix_ + "-" + codec;
    producer({{"compression.type", codec}, {"linger.ms", "20"}}).send(topic, values(100));
    require(texts_of(read(topic, 100)) == values(100), "other values came back");
  }

  void headers() {
    const std::string topic = prefix_ + "-headers";
    Producer writer = producer();
    RdKafka::Headers* sent = RdKafka::Headers::create();
    sent->add("a", "1");
    sent->add("b", std::string("\0\xff", 2));
    sent->add("a", "2");
    sent->add("empty", "");
    const std::string value = "x";
    require(writer.produce(topic, 0, nullptr, &value, 0, sent), "produce");
    writer.flush();
    require(
        read(topic, 1)[0].headers == Strings{"a=1", std::string("b=\0\xff", 4), "a=2", "empty="},
        "other headers came back");
  }

  void nulls() {
    const std::string topic = prefix_ + "-nulls";
    const std::string key = "k";
    const std::string value = "v";
    const std::string empty;
    const std::pair<const std::string*, const std::string*> sent[] = {
        {nullptr, nullptr}, {&empty, &empty}, {&key, nullptr}, {nullptr, &value}};
    Producer writer = producer();
    for (const auto& [k, v] : sent) require(writer.produce(topic, 0, k, v), "produce");
    writer.flush();
    const auto got = read(topic, 4);
    for (std::size_t i = 0; i < got.size(); ++i) {
      require(got[i].has_key == (sent[i].first != nullptr), "a key's null");
      require(got[i].has_value == (sent[i].second != nullptr), "a value's null");
    }
  }

  void timestamps() {
    const std::string topic = prefix_ + "-timestamps";
    Producer writer = producer();
    const std::string value = "x";
    require(writer.produce(topic, 0, nullptr, &value, hour_ago_), "produce");
    writer.flush();
    require(read(topic, 1)[0].timestamp == hour_ago_, "another timestamp came back");
  }

  void too_large() {
    Producer writer = producer({{"message.max.bytes", "25000000"}});
    const std::string value(2'000'000, 'x');
    try {
      writer.send(prefix_ + "-too-large", {value});
    } catch (const std::runtime_error& error) {
      const std::string wanted = RdKafka::err2str(RdKafka::ERR_MSG_SIZE_TOO_LARGE);
      require(std::string(error.what()).find(wanted) != std::string::npos, error.what());
      return;
    }
    throw std::runtime_error("2 MB were accepted");
  }

  void seek_time() {
    const std::string topic = prefix_ + "-seek-time";
    Producer writer = producer();
    for (int i = 0; i < 10; ++i) {
      const std::string value = "v-" + std::to_string(i);
      require(writer.produce(topic, 0, nullptr, &value, hour_ago_ + 1000 * i), "produce");
      writer.flush();
    }
    Consumer reader(bootstrap_, prefix_ + "-unused", {});
    std::vector<RdKafka::TopicPartition*> asked = {
        RdKafka::TopicPartition::create(topic, 0, hour_ago_ + 4500)};
    require(reader->offsetsForTimes(asked, kPatienceMs), "offsetsForTimes");
    const std::int64_t offset = asked[0]->offset();
    RdKafka::TopicPartition::destroy(asked);
    require(offset == 5, "offset " + std::to_string(offset));
    require(read(topic, 1, offset)[0].value == "v-5", "another value is there");
  }

  void watermarks() {
    const std::string topic = prefix_ + "-watermarks";
    producer().send(topic, values(7));
    require(marks(topic) == std::pair<std::int64_t, std::int64_t>(0, 7), "other watermarks");
  }

  void group_resume() {
    const std::string topic = prefix_ + "-resume";
    producer().send(topic, values(20));
    {
      Consumer first(bootstrap_, prefix_ + "-resume", {});
      require(first->subscribe({topic}), "subscribe");
      const auto taken = first.take(10);
      require(first->commitSync(taken[9].get()), "commit");
    }
    Consumer second(bootstrap_, prefix_ + "-resume", {});
    require(second->subscribe({topic}), "subscribe");
    require(texts_of(copies(second.take(10))) == values(10, 10), "other values after the commit");
  }

  void group_rebalance() {
    const std::string topic = prefix_ + "-rebalance";
    Strings topics;
    for (int i = 0; i < 4; ++i) {
      topics.push_back(topic + "-" + std::to_string(i));
      producer().send(topics.back(), values(25, 25 * i));
    }
    std::set<std::string> seen;
    const Settings spread = {{"partition.assignment.strategy", "roundrobin"}};
    Consumer first(bootstrap_, topic, spread);
    const auto poll = [&seen](Consumer& member) {
      if (const auto message = member.poll()) seen.insert(text_of(message));
    };
    require(first->subscribe(topics), "subscribe");
    wait_for("first member reads", [&] { return poll(first), seen.size() >= 10; });
    {
      Consumer second(bootstrap_, topic, spread);
      require(second->subscribe(topics), "subscribe");
      wait_for("two partitions each", [&] {
        poll(first);
        poll(second);
        return first.owned() == 2 && second.owned() == 2;
      });
      for (int i = 0; i < 4; ++i) producer().send(topics[i], values(25, 100 + 25 * i));
      wait_for("all 200 values are read", [&] {
        poll(first);
        poll(second);
        return seen.size() == 200;
      });
      require(second->commitSync(), "commit");
    }
    wait_for("the rest gets everything", [&] { return poll(first), first.owned() == 4; });
  }

  void idempotent_kill() {
    const std::string topic = prefix_ + "-idempotent";
    Producer writer = producer({{"enable.idempotence", "true"}, {"linger.ms", "0"}});
    std::unique_ptr<std::jthread> killer;
    std::atomic<bool> over = false;
    int sent = 0;
    for (; sent < 300 || !over; ++sent) {
      if (sent == 100) {
        killer = std::make_unique<std::jthread>([&over] {
          kill_broker();
          over = true;
        });
      }
      const std::string value = "v-" + std::to_string(sent);
      require(writer.produce(topic, 0, nullptr, &value), "produce");
      writer->poll(5);
    }
    writer.flush();
    require(texts_of(read(topic, sent)) == values(sent), "other values came back");
    require(marks(topic).second == sent, "there are more records than were sent");
  }

  void transaction_commit() {
    const std::string topic = prefix_ + "-commit";
    Producer writer = transactional("commit");
    in_transaction(writer, topic, values(10), true);
    require(texts_of(read(topic, 10, 0, kCommitted)) == values(10), "other values came back");
  }

  void transaction_abort() {
    const std::string topic = prefix_ + "-abort";
    Producer writer = transactional("abort");
    in_transaction(writer, topic, values(10), false);
    in_transaction(writer, topic, values(10, 10), true);
    require(texts_of(read(topic, 10, 0, kCommitted)) == values(10, 10), "read_committed");
    const auto all = read(topic, 20, 0, {{"isolation.level", "read_uncommitted"}});
    require(texts_of(all) == values(20), "read_uncommitted");
  }

  void transaction_offsets() {
    const std::string topic = prefix_ + "-txn-in";
    producer().send(topic, values(10));
    Consumer reader(bootstrap_, prefix_ + "-txn-offsets", kCommitted);
    Producer writer = transactional("offsets");
    for (const auto& [offset, commit] : {std::pair(5, true), std::pair(8, false)}) {
      require(writer->begin_transaction(), "begin_transaction");
      send_offset(writer, reader, topic, offset);
      end(writer, commit);
      require(committed(reader, topic) == 5, "offset after offering " + std::to_string(offset));
    }
  }

  void transaction_transform() {
    const std::string source = prefix_ + "-transform-in";
    const std::string target = prefix_ + "-transform-out";
    producer().send(source, values(10));
    Consumer reader(bootstrap_, prefix_ + "-transform", kCommitted);
    Producer writer = transactional("transform");
    for (const bool commit : {false, true, true}) {
      const std::int64_t offset = std::max<std::int64_t>(committed(reader, source), 0);
      const Strings taken = texts_of(read(source, 5, offset, kCommitted));
      require(writer->begin_transaction(), "begin_transaction");
      writer.send(target, Strings(taken.begin(), taken.begin() + 5));
      send_offset(writer, reader, source, offset + 5);
      end(writer, commit);
    }
    require(texts_of(read(target, 10, 0, kCommitted)) == values(10), "read_committed");
    const auto all = texts_of(read(target, 15, 0, {{"isolation.level", "read_uncommitted"}}));
    require(Strings(all.begin() + 5, all.end()) == values(10), "read_uncommitted");
  }

  void transaction_fencing() {
    const std::string topic = prefix_ + "-fencing";
    Producer old = transactional("fencing");
    require(old->begin_transaction(), "begin_transaction");
    old.send(topic, {"old"});
    Producer current = transactional("fencing");
    bool fenced = false;
    try {
      old.send(topic, {"late"});
      end(old, true);
    } catch (const std::exception&) {
      fenced = true;
    }
    require(fenced, "the fenced producer committed");
    in_transaction(current, topic, {"new"}, true);
    require(texts_of(read(topic, 1, 0, kCommitted)) == Strings{"new"}, "read_committed");
  }

 private:
  inline static const Settings kCommitted = {{"isolation.level", "read_committed"}};

  Producer producer(const Settings& more = {}) { return Producer(bootstrap_, more); }

  Producer transactional(const std::string& name) {
    Producer writer = producer({{"transactional.id", prefix_ + "-" + name}});
    require(writer->init_transactions(kPatienceMs), "init_transactions");
    return writer;
  }

  static void in_transaction(Producer& writer, const std::string& topic, const Strings& texts,
                             bool commit) {
    require(writer->begin_transaction(), "begin_transaction");
    writer.send(topic, texts);
    end(writer, commit);
  }

  static void end(Producer& writer, bool commit) {
    require(
        commit ? writer->commit_transaction(kPatienceMs) : writer->abort_transaction(kPatienceMs),
        "end of the transaction");
  }

  static void send_offset(Producer& writer, Consumer& reader, const std::string& topic,
                          std::int64_t offset) {
    std::vector<RdKafka::TopicPartition*> at = {RdKafka::TopicPartition::create(topic, 0, offset)};
    const std::unique_ptr<RdKafka::ConsumerGroupMetadata> group(reader->groupMetadata());
    RdKafka::Error* error = writer->send_offsets_to_transaction(at, group.get(), kPatienceMs);
    RdKafka::TopicPartition::destroy(at);
    require(error, "send_offsets_to_transaction");
  }

  static std::int64_t committed(Consumer& reader, const std::string& topic) {
    std::vector<RdKafka::TopicPartition*> at = {RdKafka::TopicPartition::create(topic, 0)};
    const RdKafka::ErrorCode code = reader->committed(at, kPatienceMs);
    const std::int64_t offset = at[0]->offset();
    RdKafka::TopicPartition::destroy(at);
    require(code, "committed");
    return offset;
  }

  std::vector<Record> read(const std::string& topic, std::size_t count, std::int64_t offset = 0,
                           const Settings& more = {}) {
    Consumer reader(bootstrap_, prefix_ + "-unused", more);
    std::vector<RdKafka::TopicPartition*> from = {
        RdKafka::TopicPartition::create(topic, 0, offset)};
    const RdKafka::ErrorCode code = reader->assign(from);
    RdKafka::TopicPartition::destroy(from);
    require(code, "assign");
    return copies(reader.take(count));
  }

  std::pair<std::int64_t, std::int64_t> marks(const std::string& topic) {
    Consumer reader(bootstrap_, prefix_ + "-unused", {});
    std::int64_t low = -1;
    std::int64_t high = -1;
    require(reader->query_watermark_offsets(topic, 0, &low, &high, kPatienceMs), "watermarks");
    return {low, high};
  }

  std::string bootstrap_;
  std::string prefix_;
  std::int64_t hour_ago_ = std::chrono::duration_cast<std::chrono::milliseconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count() -
                           3'600'000;
};

std::map<std::string, std::function<void()>> named(Checks& c) {
  std::map<std::string, std::function<void()>> checks;
  for (const std::string codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    checks["produce_" + codec] = [&c, codec] { c.codec(codec); };
  }
  checks["headers"] = [&c] { c.headers(); };
  checks["nulls"] = [&c] { c.nulls(); };
  checks["timestamps"] = [&c] { c.timestamps(); };
  checks["too_large"] = [&c] { c.too_large(); };
  checks["seek_time"] = [&c] { c.seek_time(); };
  checks["watermarks"] = [&c] { c.watermarks(); };
  checks["group_resume"] = [&c] { c.group_resume(); };
  checks["group_rebalance"] = [&c] { c.group_rebalance(); };
  checks["idempotent_kill"] = [&c] { c.idempotent_kill(); };
  checks["transaction_commit"] = [&c] { c.transaction_commit(); };
  checks["transaction_abort"] = [&c] { c.transaction_abort(); };
  checks["transaction_offsets"] = [&c] { c.transaction_offsets(); };
  checks["transaction_transform"] = [&c] { c.transaction_transform(); };
  checks["transaction_fencing"] = [&c] { c.transaction_fencing(); };
  return checks;
}

void run(const std::string& name, const std::function<void()>& check) {
  const auto started = Clock::now();
  std::string result = "pass";
  std::string detail;
  try {
    check();
  } catch (const std::exception& error) {
    result = "fail";
    detail = error.what();
  }
  const std::chrono::duration<double> taken = Clock::now() - started;
  tell("{\"check\": " + quoted(name) + ", \"result\": " + quoted(result) +
       ", \"detail\": " + quoted(detail) + ", \"seconds\": " + std::to_string(taken.count()) + "}");
}

}  // namespace

int main(int argc, char** argv) {
  tell("{\"client\": " + quoted("librdkafka C++ " + RdKafka::version_str()) + "}");
  Checks checks(argv[1], argv[2]);
  const auto all = named(checks);
  for (int i = 3; i < argc; ++i) {
    const auto found = all.find(argv[i]);
    if (found == all.end()) {
      tell("{\"check\": " + quoted(argv[i]) +
           R"(, "result": "none", "detail": "not offered by this client"})");
    } else {
      run(found->first, found->second);
    }
  }
}
