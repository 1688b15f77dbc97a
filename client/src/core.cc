#include "client/src/core.h"

#include <xxhash.h>

#include <optional>
#include <random>

#include "protocol/base/uuid.h"
#include "protocol/record_batch/abort_filter.h"
#include "protocol/record_batch/partitioner.h"

namespace runnel {
namespace detail {
bool on_io_thread() noexcept {
  return client::on_any_loop();
}
}  // namespace detail

namespace {
class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "runnel"; }
  std::string message(int code) const override {
    return std::string(name_of(static_cast<ErrorCode>(code)));
  }
};
}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}
std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}
std::string_view to_string(Errc code) noexcept {
  return name_of(static_cast<ErrorCode>(code));
}
std::string_view to_string(Action action) noexcept {
  return name_of(static_cast<ErrorAction>(action));
}
Action action_for(Errc code) noexcept {
  return static_cast<Action>(action_of(static_cast<ErrorCode>(code)));
}

std::span<const Record> Batch::records() const noexcept {
  return impl_ ? std::span<const Record>(impl_->records) : std::span<const Record>();
}
std::span<const TopicPartition> Batch::ends() const noexcept {
  return impl_ ? std::span<const TopicPartition>(impl_->ends) : std::span<const TopicPartition>();
}

std::uint64_t Batch::unreadable() const noexcept {
  return impl_ ? impl_->unreadable : 0;
}

std::int32_t murmur2(std::string_view key) noexcept {
  return protocol::murmur2(key);
}
std::int32_t partition_for_key(std::string_view key, std::int32_t count) noexcept {
  return protocol::partition_for_key(key, count);
}

Outcome<Batch> FetchedPartition::decode(std::int64_t from) const {
  return client::decode_batches(target, batches, owner, from, aborted);
}

}  // namespace runnel

namespace runnel::client {

Effect effect_of(const native::Request& request) {
  if (const auto* create = std::get_if<native::CreateTopic>(&request))
    return create->if_not_exists ? Effect::kOnce : Effect::kTwice;
  if (std::holds_alternative<native::EraseKey>(request)) return Effect::kOnce;  // by its id
  // An id that nobody uses is no harm.
  if (std::holds_alternative<native::InitProducer>(request)) return Effect::kOnce;
  if (const auto* sql = std::get_if<native::Sql>(&request))
    return sql->read_only ? Effect::kNone : Effect::kTwice;
  const bool reads = std::holds_alternative<native::Fetch>(request) ||
                     std::holds_alternative<native::ViewGet>(request) ||
                     std::holds_alternative<native::WaitApplied>(request) ||
                     std::holds_alternative<native::ListViews>(request) ||
                     std::holds_alternative<native::ListOffsets>(request) ||
                     std::holds_alternative<native::DescribeTopics>(request) ||
                     std::holds_alternative<native::FetchGroupOffsets>(request) ||
                     std::holds_alternative<native::ListGroups>(request) ||
                     std::holds_alternative<native::DescribeGroup>(request) ||
                     std::holds_alternative<native::ListErasures>(request) ||
                     std::holds_alternative<native::Statistics>(request);
  return reads ? Effect::kNone : Effect::kTwice;
}

std::string new_id() {
  std::random_device random;
  const auto half = [&] { return (std::uint64_t{random()} << 32) | random(); };
  return Uuid::from_random(half(), half()).to_string();
}

std::uint64_t payload_hash(std::string_view value) {
  return XXH3_64bits(value.data(), value.size());
}

Core::Core(ClientOptions o, TransportFactory factory)
    : options(std::move(o)),
      loop(Loop::start()),
      connection(std::make_shared<Connection>(
          *loop, std::move(factory),
          ConnectionOptions{options.client_name, options.connect_timeout, options.reconnect_backoff,
                            options.reconnect_backoff_max})) {}

Core::~Core() {
  shut();
}

void Core::shut() {
  loop->post([c = connection, waiting = commits] {
    c->close();
    waiting->clear();
  });
  loop->stop();
  up = false;
}

Outcome<void> Core::connect_and_wait() {
  auto [pending, done] = detail::make_pending<void>();
  loop->post([this, done = done] {
    listener_ = connection->listen(
        {[this, done] {
           {
             MutexLock lock(mutex);
             info = {connection->hello().server_version, connection->hello().cluster_id};
           }
           up = true;
           done({});
         },
         [this] { up = false; }});
    connection->start();
  });
  const auto deadline = SteadyClock::now() + options.connect_timeout;
  while (SteadyClock::now() < deadline) {
    if (pending.get_for(Milliseconds(20))) return {};
    auto [asked, answer] = detail::make_pending<bool>();
    loop->post([this, answer = answer] { answer(connection->is_refused()); });
    if (*asked.get()) break;
  }
  auto [asked, answer] = detail::make_pending<std::string>();
  auto code = std::make_shared<Errc>(Errc::disconnected);
  loop->post([this, code, answer = answer] {
    const auto& last = connection->last_error();
    if (last) *code = static_cast<Errc>(last->code());
    answer(last ? last->message() : std::string("no answer in time"));
  });
  return Failure(*code == Errc::timeout ? Errc::disconnected : *code, *asked.get());
}

Outcome<Client> make_client(ClientOptions options, TransportFactory factory) {
  auto core = std::make_shared<Core>(std::move(options), std::move(factory));
  auto keeper = std::make_shared<const Keeper>(core);
  if (auto greeted = core->connect_and_wait(); !greeted) return greeted.error();
  return Client(std::make_shared<Client::Impl>(Client::Impl{std::move(keeper)}));
}

namespace {

std::vector<protocol::AbortedFrom> to_protocol(std::span<const AbortedTransaction> aborted) {
  std::vector<protocol::AbortedFrom> out;
  out.reserve(aborted.size());
  for (const AbortedTransaction& t : aborted) {
    out.push_back({ProducerId(t.producer), Offset(t.first)});
  }
  return out;
}

}  // namespace

Outcome<Batch> decode_batches(const TopicPartition& target, Bytes batches,
                              std::shared_ptr<const void> owner, std::int64_t from,
                              std::span<const AbortedTransaction> aborted) {
  const std::int32_t partition = target.partition;
  auto impl = std::make_shared<Batch::Impl>();
  impl->owners.push_back(std::move(owner));
  const std::string& name = impl->topics.emplace_back(target.topic);
  protocol::AbortFilter filter(to_protocol(aborted));
  std::optional<std::int64_t> expected;
  while (!batches.empty()) {
    auto size = protocol::validate_batch(batches, protocol::Depth::kCrc, protocol::Gaps::kAllowed);
    if (!size) return to_failure(size.error().within(name + "[" + std::to_string(partition) + "]"));
    const protocol::BatchView view(batches);
    // A checksum says that a batch is whole, not that it is the one that was asked for. Compaction
    // leaves gaps between batches.
    if (expected && view.base_offset().value() < *expected) {
      return Failure(Errc::corrupt, name + "[" + std::to_string(partition) + "] gave offset " +
                                        std::to_string(view.base_offset().value()) + " where " +
                                        std::to_string(*expected) + " or more follows");
    }
    expected = view.last_offset().value() + 1;
    const auto left_out = filter.leaves_out(batches.first(*size));
    if (!left_out) return to_failure(left_out.error());
    if (!*left_out && view.last_offset().value() >= from) {
      auto opened = protocol::RecordReader::open(batches.first(*size));
      if (!opened) return to_failure(opened.error());
      auto& reader = impl->readers.emplace_back(std::move(*opened));
      for (;;) {
        auto record = reader.next();
        if (!record) return to_failure(record.error());
        if (!*record) break;
        const protocol::Record& r = **record;
        if (r.offset.value() < from) continue;
        std::span<const Header> headers;
        if (!r.headers.empty()) {
          auto& copy = impl->headers.emplace_back();
          for (const auto& h : r.headers) copy.push_back({h.key, h.value});
          headers = copy;
        }
        impl->records.push_back(
            {name, partition, r.offset.value(), from_wire(r.timestamp), r.key, r.value, headers});
      }
    }
    batches = batches.subspan(*size);
  }
  return Batch(std::shared_ptr<const Batch::Impl>(std::move(impl)));
}

OwnedMessage::OwnedMessage(const Message& m)
    : topic(m.topic), partition(m.partition), timestamp(m.timestamp.value_or(now_ms())) {
  key = put(m.key);
  value = put(m.value);
  for (const Header& h : m.headers) {
    const Piece name = put(h.key);
    headers.emplace_back(name, put(h.value));
  }
  if (!m.dedup) return;
  dedup = native::DedupKey{std::string(m.dedup->source), std::string(m.dedup->source_id),
                           std::string(m.dedup->data_id),
                           m.dedup->payload_hash.value_or(payload_hash(m.value.value_or(""))), 0};
}

OwnedMessage::Piece OwnedMessage::put(std::optional<std::string_view> part) {
  Piece piece{text.size(), std::nullopt};
  if (!part) return piece;
  piece.size = part->size();
  text.append(*part);
  return piece;
}

std::optional<std::string_view> OwnedMessage::get(const Piece& piece) const {
  if (!piece.size) return std::nullopt;
  return std::string_view(text).substr(piece.at, *piece.size);
}

Message OwnedMessage::view(std::vector<Header>& scratch) const {
  scratch.clear();
  for (const auto& [name, v] : headers) scratch.push_back({*get(name), get(v)});
  Message m;
  m.topic = topic;
  m.key = get(key);
  m.value = get(value);
  m.headers = scratch;
  m.partition = partition;
  m.timestamp = timestamp;
  return m;
}

void OwnedMessage::add_to(protocol::BatchBuilder& builder) const {
  std::vector<protocol::RecordHeader> list;
  for (const auto& [name, v] : headers) list.push_back({*get(name), get(v)});
  builder.add({Timestamp(timestamp.time_since_epoch().count()), get(key), get(value), list});
}

}  // namespace runnel::client
