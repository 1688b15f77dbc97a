#include "bench/views/load.h"

#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "bench/views/donations.h"
#include "protocol/base/bytes.h"
#include "protocol/native/codec.h"
#include "protocol/record_batch/record_batch.h"

namespace runnel::bench {

namespace native = protocol::native;

namespace {

/// A delivery of a view has some 256 KiB of rows, and one row more.
constexpr std::size_t kReceiveBytes = 1u << 20;
constexpr std::uint64_t kBatches = 40;

}  // namespace

Connection::Connection(Socket socket)
    : socket_(std::move(socket)), buffer_(Buffer::allocate(kReceiveBytes)) {}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& address) {
  RUNNEL_TRY_ASSIGN(Socket socket, Socket::connect(address));
  std::unique_ptr<Connection> made(new Connection(std::move(socket)));
  RUNNEL_TRY(made->socket_.send(as_bytes(native::kPreface)));
  native::Hello hello;
  hello.client_name = "runnel-bench";
  RUNNEL_TRY(made->call(native::encode(0, native::Request(hello))));
  return made;
}

Status Connection::receive() {
  filled_ -= taken_;
  std::memmove(buffer_.mutable_data(), buffer_.data() + taken_, filled_);
  taken_ = 0;
  RUNNEL_TRY_ASSIGN(const std::size_t got,
                    socket_.receive_some(buffer_.mutable_bytes().subspan(filled_)));
  filled_ += got;
  return {};
}

Result<Buffer> Connection::next() {
  const Bytes rest = buffer_.bytes().subspan(taken_, filled_ - taken_);
  RUNNEL_TRY_ASSIGN(const auto size, native::frame_size(rest, kReceiveBytes));
  if (!size || *size > rest.size()) return Buffer();
  taken_ += *size;
  return buffer_.slice(taken_ - *size, *size);
}

Result<Buffer> Connection::wait_for_next() {
  while (true) {
    RUNNEL_TRY_ASSIGN(Buffer frame, next());
    if (!frame.empty()) return frame;
    RUNNEL_TRY(receive());
  }
}

Result<native::ResponseFrame> Connection::call(const Buffer& head, Bytes attachment) {
  RUNNEL_TRY(send(head.bytes()));
  if (!attachment.empty()) RUNNEL_TRY(send(attachment));
  RUNNEL_TRY_ASSIGN(const Buffer frame, wait_for_next());
  RUNNEL_TRY_ASSIGN(native::ResponseFrame answer, native::decode_response(frame));
  if (const auto* failure = std::get_if<native::Failure>(&answer.response)) {
    return fail(failure->code, failure->message);
  }
  return answer;
}

Result<std::unique_ptr<Feeder>> Feeder::open(const std::string& address, const std::string& topic,
                                             std::uint64_t events_per_second,
                                             std::uint64_t events_per_batch) {
  std::unique_ptr<Feeder> made(new Feeder());
  RUNNEL_TRY_ASSIGN(made->connection_, Connection::open(address));
  made->topic_ = topic;
  made->events_per_second_ = events_per_second;
  made->events_per_batch_ = events_per_batch;
  // Views refuse events that are far ahead of their records.
  const Timestamp now(std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count());
  Donations donations(7);
  for (std::uint64_t b = 0; b < kBatches; ++b) {
    protocol::BatchBuilder builder;
    for (std::uint64_t i = 0; i < events_per_batch; ++i) {
      const std::uint64_t n = b * events_per_batch + i;
      const std::string text = Donations::json(n, donations.make(n, kBatches * events_per_batch));
      builder.add({now, std::nullopt, text, {}});
    }
    RUNNEL_TRY_ASSIGN(made->batches_.emplace_back(), builder.finish());
  }
  made->began_ = SteadyClock::now();
  return made;
}

Result<Feeder::Appended> Feeder::append() {
  const std::chrono::duration<double> due(static_cast<double>(n_ * events_per_batch_) /
                                          static_cast<double>(events_per_second_));
  std::this_thread::sleep_until(began_ + std::chrono::duration_cast<SteadyClock::duration>(due));
  const Buffer& batch = batches_[n_ % kBatches];
  Appended done;
  done.partition = static_cast<std::uint32_t>(n_ % kFedPartitions);
  native::Append append;
  native::AppendPartition& to = append.partitions.emplace_back();
  to.target = {topic_, PartitionIndex(static_cast<std::int32_t>(done.partition))};
  to.bytes = static_cast<std::uint32_t>(batch.size());
  const Buffer head = native::encode(n_, native::Request(std::move(append)), batch.size());
  RUNNEL_TRY_ASSIGN(const auto answer, connection_->call(head, batch.bytes()));
  const auto* reply = std::get_if<native::AppendReply>(&answer.response);
  if (reply == nullptr || reply->partitions.size() != 1) {
    return fail(ErrorCode::kInternal, "the answer is none to an append");
  }
  done.end =
      reply->partitions[0].base_offset.value() + static_cast<std::int64_t>(events_per_batch_);
  ++n_;
  return done;
}

double cpu_seconds_of(int pid) {
  if (pid == 0) return 0;
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 2)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace runnel::bench
