// The worked example of docs/formats/webhooks.md, byte by byte; what is no definition; what a
// request's parts become.
#include "broker/hooks/definition.h"

#include <gtest/gtest.h>

#include <map>

#include "broker/hooks/mapping.h"
#include "broker/hooks/webhook.h"
#include "tests/support/format_page.h"

namespace runnel::broker::hooks {
namespace {

Hook example() {
  Hook made;
  made.name = "stripe";
  made.topic = "payments";
  made.created = Timestamp(1'700'000'000'000);
  made.scheme = Scheme::kStripe;
  made.secrets = {"whsec_test_secret"};
  made.key = Place::parse("/data/object/customer").value();
  made.time = Place::parse("/created").value();
  made.time_in_seconds = true;
  made.dedup = Place::parse("/id").value();
  made.headers = {"User-Agent"};
  return made;
}

TEST(HookEntry, TheWorkedExample) {
  const std::string page =
      hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/webhooks.md", "hook-definition");
  EXPECT_EQ(to_hex("hook/stripe") + to_hex(encode_hook(example())), page);
  const auto read = decode_hook("stripe", encode_hook(example()));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(encode_hook(*read), encode_hook(example()));
  EXPECT_EQ(read->name, "stripe");
}

TEST(HookEntry, WhatIsNoEntryIsSaidToBeNone) {
  const std::string good = encode_hook(example());
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(decode_hook("stripe", good.substr(0, cut))) << cut;
  }
  EXPECT_FALSE(decode_hook("stripe", good + "x"));
  std::string newer = good;
  newer[0] = 2;
  EXPECT_EQ(decode_hook("stripe", newer).error().code(), ErrorCode::kFormatTooNew);
}

TEST(HookEntry, WhatMayNotBeDefined) {
  const auto refused = [](auto change) {
    Hook hook = example();
    change(hook);
    const Status checked = check_hook(hook);
    return checked ? std::string() : checked.error().message();
  };
  EXPECT_EQ(refused([](Hook&) {}), "");
  EXPECT_NE(refused([](Hook& h) { h.name = "a/b"; }), "");
  EXPECT_NE(refused([](Hook& h) { h.name = std::string(101, 'a'); }), "");
  EXPECT_NE(refused([](Hook& h) { h.topic.clear(); }), "");
  EXPECT_NE(refused([](Hook& h) { h.secrets.clear(); }), "");
  EXPECT_NE(refused([](Hook& h) { h.scheme = Scheme::kNone; }), "");
  EXPECT_NE(refused([](Hook& h) { h.secrets.assign(5, "a secret"); }), "");
  EXPECT_NE(refused([](Hook& h) { h.tolerance = std::chrono::seconds(0); }), "");
  EXPECT_NE(refused([](Hook& h) { h.headers = {"Authorization"}; }), "");
  EXPECT_NE(refused([](Hook& h) { h.headers = {"a b"}; }), "");
  EXPECT_NE(refused([](Hook& h) { h.headers.assign(17, "a"); }), "");
  for (const char* no : {"id", "header:", "header:a b", "/a~2", ".a["}) {
    EXPECT_FALSE(Place::parse(no)) << no;
  }
}

Webhook outgoing_example() {
  Webhook made;
  made.name = "shop";
  made.topic = "orders";
  made.url = "https://shop.example/in";
  made.created = Timestamp(1'700'000'000'000);
  made.paused = true;
  made.secrets = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
  made.filter = {".amount>=10"};
  return made;
}

TEST(WebhookEntry, TheWorkedExample) {
  const std::string page =
      hex_of_page(RUNNEL_SOURCE_DIR "/docs/formats/webhooks.md", "webhook-definition");
  const std::string good = encode_webhook(outgoing_example());
  EXPECT_EQ(to_hex("webhook/shop") + to_hex(good), page);
  const auto read = decode_webhook("shop", good);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(encode_webhook(*read), good);
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(decode_webhook("shop", good.substr(0, cut))) << cut;
  }
  EXPECT_FALSE(decode_webhook("shop", good + "x"));
  EXPECT_EQ(decode_webhook("shop", "\x02" + good.substr(1)).error().code(),
            ErrorCode::kFormatTooNew);
}

TEST(Template, EveryKindOfPlace) {
  const auto rendered = [](std::string_view text, std::string_view value) {
    protocol::Record record;
    record.offset = Offset(5);
    record.timestamp = Timestamp(1000);
    record.key = "a\"b";
    record.value = value;
    return BodyTemplate::parse(text).value().render(record, "orders", 2);
  };
  EXPECT_EQ(rendered("${key} ${topic} ${partition} ${offset} ${timestamp}", "{}"),
            "a\\\"b orders 2 5 1000");
  EXPECT_EQ(
      rendered(R"({"n":${/n},"t":"${/t}","o":${.o},"no":${/no},"all":${value}})",
               R"({"n":1.50,"t":"x\n","o":{"a":[1]}})"),
      R"({"n":1.50,"t":"x\n","o":{"a":[1]},"no":null,"all":{"n":1.50,"t":"x\n","o":{"a":[1]}}})");
  EXPECT_EQ(rendered("$ } { ${/n}", "no json"), "$ } { null");
  for (const char* no : {"", "${", "${}", "${n}", "${key", "${/a~2}"}) {
    EXPECT_FALSE(BodyTemplate::parse(no)) << no;
  }
  std::string many;
  for (std::size_t i = 0; i < kMaxTemplatePlaces; ++i) many += "${value}";
  EXPECT_TRUE(BodyTemplate::parse(many));
  EXPECT_FALSE(BodyTemplate::parse(many + "${key}")) << "each may be as large as a record";
}

Result<Mapped> map(const Hook& hook, std::string_view body,
                   const std::map<std::string, std::string, std::less<>>& headers = {}) {
  const HeaderOf header = [&](std::string_view name) -> const std::string* {
    const auto found = headers.find(name);
    return found != headers.end() ? &found->second : nullptr;
  };
  return map_request(hook, header, body);
}

TEST(HookMapping, PlacesInBodyAndHeaders) {
  Hook hook = example();
  const auto stripe =
      map(hook, R"({"id":"evt_1","created":1750000000,"data":{"object":{"customer":"c"}}})");
  ASSERT_TRUE(stripe) << stripe.error().message();
  EXPECT_EQ(stripe->key, "c");
  EXPECT_EQ(stripe->time, 1'750'000'000'000);
  EXPECT_EQ(stripe->dedup, "evt_1");
  hook.key = Place::parse(".repos[0]").value();
  hook.time = Place::parse(".at").value();
  hook.dedup = Place::parse("header:X-GitHub-Delivery").value();
  const auto github = map(hook, R"({"at":"2026-11-21T05:00:00Z","repos":[7]})",
                          {{"x-github-delivery", std::string(300, 'd')}});
  ASSERT_TRUE(github) << github.error().message();
  EXPECT_EQ(github->key, "7");
  EXPECT_EQ(github->time, 1'795'237'200'000);
  EXPECT_EQ(github->dedup->size(), 7u + 64u) << "a digest of what is too long";
}

TEST(HookMapping, WhatIsMissing) {
  Hook hook = example();
  const auto refused = map(hook, R"({"id":"evt_1","created":1})");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("/data/object/customer"), std::string::npos);
  EXPECT_FALSE(map(hook, "no json"));
  EXPECT_FALSE(map(hook, R"({"id":"","created":1,"data":{"object":{"customer":"c"}}})"))
      << "an empty identity would make all such requests one";
  EXPECT_FALSE(map(hook, R"({"id":"e","created":"x","data":{"object":{"customer":"c"}}})"));
  hook.keeps_incomplete = true;
  const auto kept = map(hook, R"({"id":"evt_1","created":"x"})");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->dedup, "evt_1");
  EXPECT_FALSE(kept->key || kept->time);
  const auto text = map(hook, "no json");
  ASSERT_TRUE(text);
  EXPECT_FALSE(text->key || text->time || text->dedup);
}

}  // namespace
}  // namespace runnel::broker::hooks
