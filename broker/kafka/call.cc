#include "broker/kafka/call.h"

#include "broker/kafka/kafka_session.h"

namespace runnel::broker {

Call::~Call() {
  if (answered_) return;
  // A defect if the connection still lives: it must not wait for ever.
  peer_->posts->push([number = number_, session = &session_] {
    if (number >= session->first_number_) {
      session->fail(Error(ErrorCode::kInternal, "a request was dropped without an answer"));
    }
  });
}

Endpoint Call::advertised() const {
  return advertised_for(service_.options().advertised, peer_->local);
}

void Call::send(kafka::Frame frame, std::vector<storage::FileSlice> slices) {
  RUNNEL_ASSERT(!answered_);
  if (frame.head.empty()) {
    return close_connection(
        Error(ErrorCode::kInvalidArgument, "the answer to " + std::string(kafka::name_of(key())) +
                                               " would be larger than 2 GiB; ask for less"));
  }
  answered_ = true;
  lease_ = MemoryLease();
  Output output;
  auto slice = slices.begin();
  std::size_t at = 0;
  for (const kafka::Gap& gap : frame.gaps) {
    if (gap.at > at) output.emplace_back(frame.head.slice(at, gap.at - at));
    at = gap.at;
    std::uint64_t left = gap.bytes;
    for (; left > 0; ++slice) {
      RUNNEL_ASSERT(slice != slices.end() && slice->length <= left);
      left -= slice->length;
      output.emplace_back(std::move(*slice));
    }
  }
  if (at < frame.head.size()) output.emplace_back(frame.head.slice(at, frame.head.size() - at));
  session_.answered(number_, std::move(output));
}

void Call::reply_nothing() {
  RUNNEL_ASSERT(!answered_);
  answered_ = true;
  session_.answered(number_, {});
}

void Call::close_connection(const Error& why) {
  answered_ = true;
  lease_ = MemoryLease();
  session_.fail(why);
}

void Call::malformed(const Error& error) {
  KafkaCounters::add(service_.counters().malformed, 1);
  close_connection(error);
}

}  // namespace runnel::broker
