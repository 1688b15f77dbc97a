#include "runnel/client.h"

#include <algorithm>

#include "client/src/core.h"

namespace runnel {
namespace {
namespace native = client::native;
using client::from_wire;
using client::to_wire;

Outcome<client::Endpoint> parse_endpoint(std::string_view address) {
  std::string host(address);
  std::string port = "9092";
  const auto colon = host.rfind(':');
  if (!host.empty() && host.front() == '[') {
    const auto end = host.find(']');
    if (end == std::string::npos)
      return Failure(Errc::invalid_argument, "\"" + host + "\": ']' is missing");
    if (end + 1 < host.size()) port = host.substr(end + 2);
    host = host.substr(1, end - 1);
  } else if (colon != std::string::npos) {
    port = host.substr(colon + 1);
    host.resize(colon);
  }
  if (host.empty() || port.empty() || port.find_first_not_of("0123456789") != std::string::npos)
    return Failure(Errc::invalid_argument,
                   "\"" + std::string(address) + "\" is not host:port, e.g. localhost:9092");
  return client::Endpoint{host, port};
}
}  // namespace

Outcome<Client> connect(std::string_view address, ClientOptions options) {
  std::vector<client::Endpoint> endpoints;
  for (std::size_t at = 0; at <= address.size();) {
    const std::size_t end = std::min(address.find(',', at), address.size());
    auto endpoint = parse_endpoint(address.substr(at, end - at));
    if (!endpoint) return endpoint.error();
    endpoints.push_back(std::move(*endpoint));
    at = end + 1;
  }
  const auto within = options.connect_timeout;
  return client::make_client(std::move(options),
                             client::socket_transport(std::move(endpoints), within));
}

Admin Client::admin() {
  return Admin(std::make_shared<Admin::Impl>(Admin::Impl{impl_->keeper}));
}

Pending<Committed> Client::commit(const Transaction& transaction) {
  return client::run_commit(impl_->core, transaction);
}

ServerInfo Client::server() const {
  MutexLock lock(impl_->core->mutex);
  return impl_->core->info;
}
bool Client::connected() const {
  return impl_->core->up;
}

Pending<std::vector<FetchedPartition>> Client::fetch(FetchRequest request) {
  native::Fetch fetch;
  for (const auto& item : request.items)
    fetch.partitions.push_back({to_wire(item.target), Offset(item.offset), item.max_bytes});
  fetch.max_bytes = request.max_bytes;
  fetch.min_bytes = request.min_bytes;
  fetch.max_wait_ms = static_cast<std::uint32_t>(request.max_wait.count());
  fetch.filter = std::move(request.filter);
  auto convert = [](native::FetchReply reply,
                    Buffer attachment) -> Outcome<std::vector<FetchedPartition>> {
    auto owner = std::make_shared<const Buffer>(std::move(attachment));
    std::vector<FetchedPartition> out;
    std::size_t at = 0;
    for (auto& p : reply.partitions) {
      FetchedPartition f;
      f.target = from_wire(p.target);
      if (p.error != ErrorCode::kOk) f.error = Failure(static_cast<Errc>(p.error), p.error_message);
      f.high_watermark = p.high_watermark.value();
      f.log_start = p.log_start.value();
      f.batches = owner->bytes().subspan(at, p.bytes);
      f.owner = owner;
      f.aborted = from_wire(p.aborted);
      f.next = p.next.value();
      f.filtered = p.filtered;
      f.unreadable = p.unreadable;
      at += p.bytes;
      out.push_back(std::move(f));
    }
    return out;
  };
  auto [pending, done] = detail::make_pending<std::vector<FetchedPartition>>();
  auto core = impl_->core;
  core->post(
      [c = core, fetch = std::move(fetch), convert, done = done, wait = request.max_wait] {
        c->send<native::FetchReply, std::vector<FetchedPartition>>(fetch, convert, done, wait);
      },
      done);
  return std::move(pending);
}

Transaction::Transaction() : impl_(std::make_unique<Impl>()) {}
Transaction::~Transaction() = default;
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&&) noexcept = default;
Transaction::Transaction(const Transaction& o) : impl_(std::make_unique<Impl>(*o.impl_)) {}
Transaction& Transaction::operator=(const Transaction& o) {
  if (this != &o) *impl_ = *o.impl_;
  return *this;
}
Transaction& Transaction::add(const Message& message) {
  impl_->records.emplace_back(message);
  return *this;
}
Transaction& Transaction::commit_offsets(Consumer::Membership as,
                                         std::vector<GroupOffset> offsets) {
  native::GroupOffsets group{std::move(as.group), std::move(as.member_id), as.member_epoch, {}};
  for (auto& o : offsets)
    group.offsets.push_back(
        {to_wire(o.target), Offset(o.offset), LeaderEpoch(-1), std::move(o.metadata)});
  impl_->groups.push_back(std::move(group));
  return *this;
}
Transaction& Transaction::fence(std::string name, std::uint64_t token) {
  impl_->fences.push_back({std::move(name), token});
  return *this;
}
Transaction& Transaction::expect_next(TopicPartition partition, std::int64_t next) {
  impl_->expected[std::move(partition)] = next;
  return *this;
}
Transaction& Transaction::durability(Durability level) {
  impl_->durability = level;
  return *this;
}
Transaction& Transaction::wait_applied(std::chrono::milliseconds at_most) {
  impl_->applied = at_most;
  return *this;
}
Transaction& Transaction::compression(Compression codec) {
  impl_->compression = codec;
  return *this;
}

}  // namespace runnel
