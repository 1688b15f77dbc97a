#include "protocol/record_batch/crc32c.h"

#include <array>
#include <cstddef>

#include "protocol/base/bytes.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#define RUNNEL_CRC_TARGET __attribute__((target("sse4.2")))
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define RUNNEL_CRC_TARGET
#endif

namespace runnel::protocol {
namespace {

// Bits are reflected: the highest bit of a register is the coefficient of x^0.
constexpr std::uint32_t kPolynomial = 0x82f63b78;

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// kSlices[n][b]: the register after byte b and n zero bytes.
constexpr Table make_slices() {
  Table t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t r = b;
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ ((r & 1) ? kPolynomial : 0);
    t[0][b] = r;
  }
  for (std::size_t n = 1; n < 8; ++n) {
    for (std::size_t b = 0; b < 256; ++b) {
      t[n][b] = (t[n - 1][b] >> 8) ^ t[0][t[n - 1][b] & 0xff];
    }
  }
  return t;
}
constexpr Table kSlices = make_slices();

std::uint32_t update_portable(std::uint32_t r, const std::byte* p, std::size_t size) noexcept {
  for (; size >= 8; p += 8, size -= 8) {
    const std::uint64_t v = load_le<std::uint64_t>(p) ^ r;
    r = kSlices[7][v & 0xff] ^ kSlices[6][(v >> 8) & 0xff] ^ kSlices[5][(v >> 16) & 0xff] ^
        kSlices[4][(v >> 24) & 0xff] ^ kSlices[3][(v >> 32) & 0xff] ^ kSlices[2][(v >> 40) & 0xff] ^
        kSlices[1][(v >> 48) & 0xff] ^ kSlices[0][v >> 56];
  }
  for (; size > 0; ++p, --size) {
    r = (r >> 8) ^ kSlices[0][(r ^ static_cast<std::uint8_t>(*p)) & 0xff];
  }
  return r;
}

#if defined(RUNNEL_CRC_TARGET)

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 0x80000000; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ ((b & 1) ? kPolynomial : 0);
  }
  return product;
}

using ShiftTable = std::array<std::array<std::uint32_t, 256>, 4>;

// Moves a register past `zeros` zero bytes (a power of two): a multiplication by x^(8 * zeros),
// which is linear, so one lookup for each byte of the register does it.
constexpr ShiftTable make_shift(std::size_t zeros) {
  std::uint32_t factor = 0x00800000;  // x^8
  for (; zeros > 1; zeros >>= 1) factor = multiply(factor, factor);
  ShiftTable t{};
  for (std::size_t byte = 0; byte < 4; ++byte) {
    for (std::uint32_t bit = 0; bit < 8; ++bit) {
      t[byte][std::size_t{1} << bit] = multiply(factor, 1u << (8 * byte + bit));
    }
    for (std::size_t v = 1; v < 256; ++v) {
      const std::size_t lowest = v & (~v + 1);
      if (v != lowest) t[byte][v] = t[byte][v - lowest] ^ t[byte][lowest];
    }
  }
  return t;
}

// The CRC instruction takes three cycles but one can start every cycle: three lanes keep it busy.
constexpr std::size_t kLongLane = 4096;
constexpr std::size_t kShortLane = 256;
constexpr ShiftTable kLongShift = make_shift(kLongLane);
constexpr ShiftTable kShortShift = make_shift(kShortLane);

std::uint32_t shift(const ShiftTable& t, std::uint32_t r) noexcept {
  return t[0][r & 0xff] ^ t[1][(r >> 8) & 0xff] ^ t[2][(r >> 16) & 0xff] ^ t[3][r >> 24];
}

#if defined(__x86_64__)
RUNNEL_CRC_TARGET inline std::uint64_t step8(std::uint64_t r, const std::byte* p) noexcept {
  return _mm_crc32_u64(r, load_le<std::uint64_t>(p));
}
RUNNEL_CRC_TARGET inline std::uint64_t step1(std::uint64_t r, const std::byte* p) noexcept {
  return _mm_crc32_u8(static_cast<std::uint32_t>(r), static_cast<std::uint8_t>(*p));
}
bool detect() noexcept {
  return __builtin_cpu_supports("sse4.2") != 0;
}
#else
inline std::uint64_t step8(std::uint64_t r, const std::byte* p) noexcept {
  auto crc = static_cast<std::uint32_t>(r);
  const auto v = load_le<std::uint64_t>(p);
  __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(v));
  return crc;
}
inline std::uint64_t step1(std::uint64_t r, const std::byte* p) noexcept {
  auto crc = static_cast<std::uint32_t>(r);
  const auto v = static_cast<std::uint32_t>(*p);
  __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(v));
  return crc;
}
bool detect() noexcept {
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#endif

template <std::size_t kLane>
RUNNEL_CRC_TARGET std::uint32_t three_lanes(const ShiftTable& table, std::uint32_t r,
                                            const std::byte* p) noexcept {
  std::uint64_t a = r;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  for (std::size_t i = 0; i < kLane; i += 8) {
    a = step8(a, p + i);
    b = step8(b, p + kLane + i);
    c = step8(c, p + 2 * kLane + i);
  }
  const std::uint32_t ab = shift(table, static_cast<std::uint32_t>(a));
  return shift(table, ab ^ static_cast<std::uint32_t>(b)) ^ static_cast<std::uint32_t>(c);
}

RUNNEL_CRC_TARGET std::uint32_t update_accelerated(std::uint32_t start, const std::byte* p,
                                                   std::size_t size) noexcept {
  std::uint32_t r = start;
  for (; size >= 3 * kLongLane; p += 3 * kLongLane, size -= 3 * kLongLane) {
    r = three_lanes<kLongLane>(kLongShift, r, p);
  }
  for (; size >= 3 * kShortLane; p += 3 * kShortLane, size -= 3 * kShortLane) {
    r = three_lanes<kShortLane>(kShortShift, r, p);
  }
  std::uint64_t tail = r;
  for (; size >= 8; p += 8, size -= 8) tail = step8(tail, p);
  for (; size > 0; ++p, --size) tail = step1(tail, p);
  return static_cast<std::uint32_t>(tail);
}

#else
bool detect() noexcept {
  return false;
}
std::uint32_t update_accelerated(std::uint32_t r, const std::byte* p, std::size_t size) noexcept {
  return update_portable(r, p, size);
}
#endif

}  // namespace

std::uint32_t crc32c(Bytes bytes, std::uint32_t seed) noexcept {
  if (!crc32c_is_accelerated()) return crc32c_portable(bytes, seed);
  return ~update_accelerated(~seed, bytes.data(), bytes.size());
}

std::uint32_t crc32c_portable(Bytes bytes, std::uint32_t seed) noexcept {
  return ~update_portable(~seed, bytes.data(), bytes.size());
}

bool crc32c_is_accelerated() noexcept {
  static const bool accelerated = detect();
  return accelerated;
}

}  // namespace runnel::protocol
