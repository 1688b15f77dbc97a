#include "protocol/base/buffer.h"

#include <gtest/gtest.h>

#include <vector>

namespace runnel {
namespace {

TEST(Buffer, CopiesAreOfTheirOwn) {
  std::string text = "bytes";
  Buffer copy = Buffer::copy_of(as_bytes(text));
  text[0] = 'x';
  EXPECT_EQ(as_text(copy.bytes()), "bytes");
  EXPECT_EQ(copy.size(), 5u);
}

TEST(Buffer, SlicesShareTheBytesAndKeepThemAlive) {
  Buffer slice;
  {
    Buffer whole = Buffer::copy_of(as_bytes("a longer text"));
    slice = whole.slice(2, 6);
    EXPECT_EQ(slice.data(), whole.data() + 2);
    whole.mutable_data()[2] = std::byte{'L'};
  }
  EXPECT_EQ(as_text(slice.bytes()), "Longer");
  EXPECT_EQ(as_text(slice.slice(1, 3).bytes()), "ong");
}

TEST(Buffer, EmptySlicesAreAllowedUpToTheEnd) {
  const Buffer whole = Buffer::copy_of(as_bytes("abc"));
  EXPECT_TRUE(whole.slice(3, 0).empty());
  EXPECT_EQ(whole.slice(0, 3).size(), 3u);
  EXPECT_TRUE(Buffer().empty());
  EXPECT_TRUE(Buffer().slice(0, 0).empty());
  EXPECT_TRUE(Buffer::allocate(0).empty());
}

TEST(BufferDeathTest, ASliceOutsideStopsTheProcess) {
  const Buffer whole = Buffer::copy_of(as_bytes("abc"));
  EXPECT_DEATH((void)whole.slice(4, 0), "invariant broken");
  EXPECT_DEATH((void)whole.slice(1, 3), "invariant broken");
  EXPECT_DEATH((void)whole.slice(1, static_cast<std::size_t>(-1)), "invariant broken");
}

TEST(Buffer, ForeignBytesLiveAsLongAsTheLastSlice) {
  auto owner = std::make_shared<std::vector<std::byte>>(8, std::byte{7});
  const std::weak_ptr<std::vector<std::byte>> watch = owner;
  const MutableBytes bytes(*owner);
  Buffer last;
  {
    const Buffer all = Buffer::of(std::move(owner), bytes);
    last = all.slice(4, 4);
  }
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(last.bytes()[0], std::byte{7});
  last = Buffer();
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace runnel
