#include "protocol/native/codec.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "protocol/base/bytes.h"
#include "tests/protocol/native/samples.h"

namespace runnel::protocol::native {
namespace {

/// A whole frame: the head and an attachment of 1, 2, 3, ...
template <class M>
Buffer frame_of(std::uint64_t correlation, const M& message) {
  const std::uint64_t attached = attachment_of(message);
  const Buffer head = encode(correlation, message, attached);
  Buffer frame = Buffer::allocate(head.size() + attached);
  std::memcpy(frame.mutable_data(), head.data(), head.size());
  for (std::size_t i = 0; i < attached; ++i) {
    frame.mutable_data()[head.size() + i] = static_cast<std::byte>(i + 1);
  }
  return frame;
}

/// The same bytes at an address that is `shift` beyond an aligned one.
Buffer shifted(const Buffer& frame, std::size_t shift) {
  Buffer room = Buffer::allocate(frame.size() + 16);
  const auto address = reinterpret_cast<std::uintptr_t>(room.data());
  const std::size_t from = (8 - address % 8) % 8 + shift;
  std::memcpy(room.mutable_data() + from, frame.data(), frame.size());
  return room.slice(from, frame.size());
}

std::vector<Buffer> all_frames() {
  std::vector<Buffer> frames;
  for (const auto& r : sample_requests()) frames.push_back(frame_of(1, r));
  for (const auto& r : sample_responses()) frames.push_back(frame_of(2, r));
  return frames;
}

TEST(NativeCodec, SamplesCoverEveryKind) {
  std::set<std::size_t> requests, responses;
  for (const auto& r : sample_requests()) requests.insert(r.index());
  for (const auto& r : sample_responses()) responses.insert(r.index());
  EXPECT_EQ(requests.size(), std::variant_size_v<Request> - 1);  // UnknownRequest has none
  EXPECT_EQ(responses.size(), std::variant_size_v<Response>);
}

TEST(NativeCodec, EveryRequestMakesTheRoundTripAtEveryAlignment) {
  std::uint64_t correlation = 0xfffffffffffffff0ull;
  for (const auto& request : sample_requests()) {
    SCOPED_TRACE(request.index());
    for (std::size_t shift = 0; shift < 8; ++shift) {
      const Buffer frame = shifted(frame_of(++correlation, request), shift);
      const auto decoded = decode_request(frame);
      ASSERT_TRUE(decoded) << decoded.error().to_string();
      EXPECT_EQ(decoded->correlation, correlation);
      EXPECT_TRUE(decoded->request == request);
      EXPECT_EQ(decoded->attachment.size(), attachment_of(request));
      if (!decoded->attachment.empty()) {
        EXPECT_EQ(decoded->attachment.data() + decoded->attachment.size(),
                  frame.data() + frame.size())
            << "the attachment shares the frame's memory";
      }
    }
  }
}

TEST(NativeCodec, EveryResponseMakesTheRoundTrip) {
  for (const auto& response : sample_responses()) {
    SCOPED_TRACE(response.index());
    const auto decoded = decode_response(shifted(frame_of(5, response), 3));
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(decoded->correlation, 5u);
    EXPECT_TRUE(decoded->response == response);
    EXPECT_EQ(decoded->attachment.size(), attachment_of(response));
  }
}

TEST(NativeCodec, DefaultsMakeTheRoundTrip) {
  const Request append = Append{};
  const auto decoded = decode_request(encode(1, append));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->request == append);
  const Request fetch = Fetch{{FetchPartition{}}, 16u << 20, 1, 0};
  const auto decoded_fetch = decode_request(encode(1, fetch));
  ASSERT_TRUE(decoded_fetch);
  EXPECT_TRUE(decoded_fetch->request == fetch);
}

TEST(NativeCodec, RefusesAFrameCutAtEveryByte) {
  for (const Buffer& frame : all_frames()) {
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const Buffer cut = Buffer::copy_of(frame.bytes().first(size));
      EXPECT_FALSE(decode_request(cut));
      EXPECT_FALSE(decode_response(cut));
    }
  }
}

TEST(NativeCodec, RefusesAMessageCutAtEveryByteWithLengthsThatAgree) {
  for (const auto& request : sample_requests()) {
    const Buffer head = encode(1, request, attachment_of(request));
    for (std::size_t size = kFrameHeaderBytes; size < head.size(); ++size) {
      Buffer cut = Buffer::copy_of(head.bytes().first(size));
      store_le(cut.mutable_data(), static_cast<std::uint32_t>(size - 4));
      store_le(cut.mutable_data() + 4, static_cast<std::uint32_t>(size - kFrameHeaderBytes));
      const auto decoded = decode_request(cut);
      // Padding at the end may be missed by nobody; anything else must be.
      if (decoded) {
        EXPECT_TRUE(decoded->request == request) << size;
      }
      if (decoded) {
        EXPECT_LT(head.size() - size, 8u) << size;
      }
    }
  }
}

TEST(NativeCodec, RefusesAFrameWithAByteTooMany) {
  for (const Buffer& frame : all_frames()) {
    Buffer longer = Buffer::allocate(frame.size() + 1);
    std::memcpy(longer.mutable_data(), frame.data(), frame.size());
    longer.mutable_data()[frame.size()] = std::byte{0};
    EXPECT_FALSE(decode_request(longer));
    // Also when the frame length says so: the attachment is then longer than announced.
    store_le(longer.mutable_data(), static_cast<std::uint32_t>(longer.size() - 4));
    EXPECT_FALSE(decode_request(longer) && decode_response(longer));
    const auto request = decode_request(longer);
    EXPECT_TRUE(!request || std::holds_alternative<UnknownRequest>(request->request));
  }
}

TEST(NativeCodec, SurvivesEveryByteChangedToEveryValue) {
  std::size_t accepted = 0, refused = 0;
  for (const Buffer& frame : all_frames()) {
    Buffer changed = Buffer::copy_of(frame.bytes());
    for (std::size_t i = 0; i < frame.size(); ++i) {
      for (int value = 0; value<256; value += frame.size()> 200 ? 15 : 5) {
        changed.mutable_data()[i] = static_cast<std::byte>(value);
        (decode_request(changed) ? accepted : refused) += 1;
        (decode_response(changed) ? accepted : refused) += 1;
      }
      changed.mutable_data()[i] = frame.data()[i];
    }
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_GT(refused, 0u);
}

TEST(NativeCodec, UnknownKindDecodesAsUnknownRequestWithItsCorrelation) {
  const auto decoded = decode_request(encode(77, Request(UnknownRequest{})));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->correlation, 77u);
  EXPECT_TRUE(std::holds_alternative<UnknownRequest>(decoded->request));
  EXPECT_FALSE(decode_response(encode(77, Request(UnknownRequest{}))));
}

TEST(NativeCodec, AResponseIsNoRequestAndTheOtherWayRound) {
  const auto decoded = decode_request(encode(1, Response(Done{})));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(std::holds_alternative<UnknownRequest>(decoded->request));
  EXPECT_FALSE(decode_response(encode(1, Request(ListGroups{}))));
}

TEST(NativeCodec, AttachmentMustAddUp) {
  Buffer frame = frame_of(1, sample_requests()[1]);
  const Buffer shorter = Buffer::copy_of(frame.bytes().first(frame.size() - 1));
  Buffer agreed = shorter;
  store_le(agreed.mutable_data(), static_cast<std::uint32_t>(agreed.size() - 4));
  const auto decoded = decode_request(agreed);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code(), ErrorCode::kMalformed);
  EXPECT_NE(decoded.error().message().find("attachment"), std::string::npos);
}

TEST(NativeCodec, AnnouncedLengthsAreNotAllocated) {
  // Each aligned 4 bytes in turn become a huge length or offset.
  for (const Buffer& frame : all_frames()) {
    for (std::size_t i = 0; i + 4 <= frame.size(); i += 4) {
      for (const std::uint32_t huge : {0x7fffffffu, 0xffffffffu, 0x3fffffffu, 0x0fffffffu}) {
        Buffer changed = Buffer::copy_of(frame.bytes());
        store_le(changed.mutable_data() + i, huge);
        const auto request = decode_request(changed);
        const auto response = decode_response(changed);
        if (i < 8) {
          EXPECT_TRUE(!request && !response) << i;
        }
      }
    }
  }
}

/// A message whose list of names points at one long string again and again.
TEST(NativeCodec, SharedStringsMayNotUnfoldWithoutBound) {
  constexpr std::uint32_t kNames = 100'000, kLong = 1u << 20;
  const std::string name(kLong, 'x');
  Buffer frame = encode(1, Request(DescribeTopics{{name, "b"}}));
  // Rebuild by hand: root, table, vector of offsets that all lead to the same string.
  std::vector<std::uint8_t> m;
  auto u32 = [&m](std::uint32_t v) {
    m.insert(m.end(),
             {std::uint8_t(v), std::uint8_t(v >> 8), std::uint8_t(v >> 16), std::uint8_t(v >> 24)});
  };
  auto u16 = [&m](std::uint16_t v) { m.insert(m.end(), {std::uint8_t(v), std::uint8_t(v >> 8)}); };
  u32(16);                 // root at 16
  u16(10), u16(12);        // Message's vtable at 4: 10 bytes long, table of 12
  u16(0), u16(4), u16(8);  // no correlation, type at 4, body at 8
  u16(0);                  // padding
  u32(12);                 // table at 16: its vtable is 12 back
  u32(11);                 // type: DescribeTopics
  u32(12);                 // body at 24 + 12 = 36
  u16(6), u16(8), u16(4);  // DescribeTopics' vtable at 28
  u16(0);
  u32(8);  // table at 36
  u32(4);  // names at 40 + 4 = 44
  u32(kNames);
  const std::uint32_t string_at = 48 + 4 * kNames;
  for (std::uint32_t i = 0; i < kNames; ++i) u32(string_at - (48 + 4 * i));
  u32(kLong);
  m.insert(m.end(), kLong, 'x');
  u32(0);
  frame = Buffer::allocate(kFrameHeaderBytes + m.size());
  store_le(frame.mutable_data(), static_cast<std::uint32_t>(m.size() + 4));
  store_le(frame.mutable_data() + 4, static_cast<std::uint32_t>(m.size()));
  std::memcpy(frame.mutable_data() + kFrameHeaderBytes, m.data(), m.size());
  const auto decoded = decode_request(frame);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message().find("unfolds"), std::string::npos)
      << decoded.error().to_string();
}

TEST(NativeCodec, AMessageBeyondTheLimitIsNotEncoded) {
  EXPECT_TRUE(encode(1, Request(DeleteTopic{std::string(kMaxMessageBytes, 'x')})).empty());
  AppendPartition large;
  large.bytes = kMaxFrameBytes;
  EXPECT_TRUE(
      encode(1, Request(Append{{large}, {}, {}, Durability::kSynced}), large.bytes).empty());
}

TEST(NativeFrameSize, NeedsFourBytesHoweverTheyArrive) {
  const Buffer frame = frame_of(1, sample_requests()[1]);
  for (std::size_t have = 0; have <= frame.size(); ++have) {
    const auto size = frame_size(frame.bytes().first(have), kMaxFrameBytes);
    ASSERT_TRUE(size);
    EXPECT_EQ(size->has_value(), have >= 4);
    if (*size) {
      EXPECT_EQ(**size, frame.size());
    }
  }
}

TEST(NativeFrameSize, HoldsItsLimits) {
  std::byte head[4];
  auto size_of = [&head](std::uint32_t length, std::uint32_t limit) {
    store_le(head, length);
    return frame_size(Bytes(head), limit);
  };
  for (std::uint32_t length = 0; length < 4; ++length) EXPECT_FALSE(size_of(length, 100));
  EXPECT_TRUE(size_of(4, 100));
  EXPECT_TRUE(size_of(96, 100));
  EXPECT_FALSE(size_of(97, 100));
  EXPECT_FALSE(size_of(0xffffffffu, kMaxFrameBytes));
}

/// The hex dump of docs/formats/native-protocol.md between ```hex NAME and ```.
Buffer example(const std::string& name) {
  std::ifstream page(RUNNEL_SOURCE_DIR "/docs/formats/native-protocol.md");
  std::string line;
  std::vector<std::byte> bytes;
  bool inside = false;
  while (std::getline(page, line)) {
    if (line == "```hex " + name) {
      inside = true;
    } else if (inside && line == "```") {
      break;
    } else if (inside) {
      std::istringstream words(line.substr(0, line.find('|')));
      std::string word;
      words >> word;  // the position
      while (words >> word) bytes.push_back(static_cast<std::byte>(std::stoi(word, nullptr, 16)));
    }
  }
  return Buffer::copy_of(bytes);
}

TEST(NativeProtocolPage, TheWorkedExampleIsTrue) {
  const Buffer request = example("request");
  ASSERT_FALSE(request.empty());
  const auto decoded = decode_request(request);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->correlation, 7u);
  EXPECT_TRUE(decoded->request == Request(DeleteTopic{"orders"}));
  const Buffer encoded = encode(7, Request(DeleteTopic{"orders"}));
  EXPECT_EQ(as_text(encoded.bytes()), as_text(request.bytes()));

  const Buffer response = example("response");
  const auto answered = decode_response(response);
  ASSERT_TRUE(answered) << answered.error().to_string();
  EXPECT_EQ(answered->correlation, 7u);
  EXPECT_TRUE(answered->response == Response(Done{}));
}

TEST(NativeProtocolPage, TheRowsOfADeliveryAreTrue) {
  const Buffer rows = example("rows");
  ASSERT_FALSE(rows.empty());
  std::string made;
  const auto add_row = [&made](RowChange change, std::string_view key) {
    ByteWriter head;
    head.le(static_cast<std::uint8_t>(change)).text(key);
    made += head.str();
  };
  add_row(RowChange::kReplace, {"\1sea\0", 5});
  append_cell("sea", made);
  append_cell("12.30", made);
  add_row(RowChange::kDelete, "\xff");
  append_null_cell(made);
  append_null_cell(made);
  EXPECT_EQ(as_text(rows.bytes()), made);

  ByteReader in(rows.bytes());
  EXPECT_EQ(in.le<std::uint8_t>(), 1);
  EXPECT_EQ(in.text().size(), 5u);
  EXPECT_EQ(read_cell(in), "sea");
  EXPECT_EQ(read_cell(in), "12.30");
  EXPECT_EQ(in.le<std::uint8_t>(), 0);
  EXPECT_EQ(in.text(), "\xff");
  EXPECT_EQ(read_cell(in), std::nullopt);
  EXPECT_EQ(read_cell(in), std::nullopt);
  EXPECT_TRUE(in.at_end());
}

TEST(NativeCells, ACellThatIsLongerThanWhatThereIsFails) {
  for (const std::string& bad : {std::string("\x05sea"), std::string("\xff\xff\xff\xff\x0fx"),
                                 std::string("\x80"), std::string()}) {
    ByteReader in(as_bytes(bad));
    EXPECT_EQ(read_cell(in), std::nullopt);
    EXPECT_FALSE(in.ok());
  }
  ByteReader empty(as_bytes(std::string_view("\x01", 1)));
  EXPECT_EQ(read_cell(empty), "");
  EXPECT_TRUE(empty.at_end());
}

}  // namespace
}  // namespace runnel::protocol::native
