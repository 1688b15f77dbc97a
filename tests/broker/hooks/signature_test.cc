// Signatures against vectors that others made: GitHub's documentation, Standard Webhooks' secrets,
// Python's hmac.
#include "broker/hooks/signature.h"

#include <gtest/gtest.h>

#include <map>

#include "broker/hooks/digest.h"

namespace runnel::broker::hooks {
namespace {

using Headers = std::map<std::string, std::string, std::less<>>;

constexpr std::int64_t kNow = 1'750'000'000;

Status check(Scheme scheme, const std::vector<std::string>& secrets, const Headers& headers,
             std::string_view body, std::int64_t now = kNow) {
  const HeaderOf header = [&](std::string_view name) -> const std::string* {
    const auto found = headers.find(name);
    return found != headers.end() ? &found->second : nullptr;
  };
  return verify({scheme, secrets, std::chrono::seconds(300), Timestamp(now * 1000)}, header, body);
}

const std::string kGithubSecret = "It's a Secret to Everybody";
const std::string kGithubHex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

TEST(Signature, GithubsOwnExample) {
  const Headers good{{"x-hub-signature-256", "sha256=" + kGithubHex}};
  EXPECT_TRUE(check(Scheme::kGithub, {kGithubSecret}, good, "Hello, World!"));
  EXPECT_TRUE(check(Scheme::kGithub, {"another one", kGithubSecret}, good, "Hello, World!"));
  EXPECT_FALSE(check(Scheme::kGithub, {"another one"}, good, "Hello, World!"));
  EXPECT_FALSE(check(Scheme::kGithub, {kGithubSecret}, good, "Hello, World"));
  EXPECT_FALSE(check(Scheme::kGithub, {kGithubSecret}, {}, "Hello, World!"));
}

TEST(Signature, EveryByteOfItCounts) {
  for (std::size_t i = 0; i < kGithubHex.size(); ++i) {
    std::string wrong = kGithubHex;
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    const Status refused = check(Scheme::kGithub, {kGithubSecret},
                                 {{"x-hub-signature-256", "sha256=" + wrong}}, "Hello, World!");
    ASSERT_FALSE(refused) << i;
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnauthorized);
    EXPECT_EQ(refused.error().message().find(kGithubHex), std::string::npos);
  }
  for (const std::string& no : {kGithubHex, std::string("sha256="), "sha1=" + kGithubHex,
                                "sha256=" + kGithubHex + "0", "sha256=" + kGithubHex.substr(1)}) {
    EXPECT_FALSE(
        check(Scheme::kGithub, {kGithubSecret}, {{"x-hub-signature-256", no}}, "Hello, World!"))
        << no;
  }
}

TEST(Signature, StripesHasATime) {
  const std::string body = R"({"id":"evt_1"})";
  const std::string v1 = "3f3e0977c51c85199fa632a0e55f574ca5591cce7b0b1fd33956c2873a234721";
  const auto with = [&](const std::string& value, std::int64_t now = kNow) {
    return check(Scheme::kStripe, {"whsec_test_secret"}, {{"stripe-signature", value}}, body, now);
  };
  EXPECT_TRUE(with("t=1750000000,v1=" + v1));
  EXPECT_TRUE(with("t=1750000000,v1=" + kGithubHex + ",v1=" + v1 + ",v0=abc")) << "a new secret";
  EXPECT_TRUE(with("t=1750000000,v1=" + v1, kNow + 300));
  EXPECT_TRUE(with("t=1750000000,v1=" + v1, kNow - 300));
  const Status late = with("t=1750000000,v1=" + v1, kNow + 301);
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message().find("300 s"), std::string::npos) << late.error().message();
  EXPECT_FALSE(with("t=1750000000,v1=" + v1, kNow - 301)) << "from the future";
  EXPECT_FALSE(with("t=1750000001,v1=" + v1)) << "the time is signed";
  for (const std::string& no : {std::string(), "v1=" + v1, std::string("t=1750000000"),
                                "t=,v1=" + v1, "t=1750000000,v0=" + v1}) {
    EXPECT_FALSE(with(no)) << no;
  }
}

TEST(Signature, StandardWebhooks) {
  const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const std::string id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
  const std::string body = R"({"test": 2432232314})";
  const std::string signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
  EXPECT_EQ(sign_standard(secret, id, "1614265330", body), signature);
  Headers good{{"webhook-id", id},
               {"webhook-timestamp", "1614265330"},
               {"webhook-signature", "v1a,xyz v1,AAAA " + signature}};
  EXPECT_TRUE(check(Scheme::kStandard, {secret}, good, body, 1'614'265'400));
  EXPECT_FALSE(check(Scheme::kStandard, {secret}, good, body, kNow)) << "old";
  for (const char* signed_part : {"webhook-id", "webhook-timestamp"}) {
    Headers bad = good;
    bad[signed_part] += "0";
    EXPECT_FALSE(check(Scheme::kStandard, {secret}, bad, body, 1'614'265'400)) << signed_part;
    bad.erase(signed_part);
    EXPECT_FALSE(check(Scheme::kStandard, {secret}, bad, body, 1'614'265'400)) << signed_part;
  }
}

TEST(Signature, SecretsHaveTheirForm) {
  EXPECT_TRUE(check_secret(Scheme::kGithub, "12345678"));
  EXPECT_FALSE(check_secret(Scheme::kGithub, "1234567"));
  EXPECT_FALSE(check_secret(Scheme::kGithub, std::string(257, 'x')));
  EXPECT_TRUE(check_secret(Scheme::kStandard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
  for (const char* no : {"whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ", "whsec_%"}) {
    const Status refused = check_secret(Scheme::kStandard, no);
    ASSERT_FALSE(refused) << no;
    EXPECT_EQ(refused.error().message().find("MfKQ"), std::string::npos);
  }
}

TEST(Digest, TextsOfIt) {
  const Digest digest = sha256("abc");
  EXPECT_EQ(hex_of(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of_hex(hex_of(digest)), digest);
  EXPECT_EQ(digest_of_base64(base64_of(digest)), digest);
  EXPECT_FALSE(digest_of_hex(std::string(64, 'g')));
  EXPECT_FALSE(digest_of_base64("AAAA"));
}

}  // namespace
}  // namespace runnel::broker::hooks
