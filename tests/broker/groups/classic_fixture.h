// A classic group with a clock that the test moves, and its answers by token.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "broker/groups/classic_group.h"

namespace runnel::broker {

class ClassicFixture : public ::testing::Test {
 protected:
  using State = ClassicGroup::State;
  using Token = ClassicGroup::ReplyToken;

  ClassicFixture() { config_.initial_rebalance_delay = std::chrono::milliseconds(0); }

  static classic::JoinRequest joining(std::string member_id = {}, std::string instance = {}) {
    classic::JoinRequest request;
    request.group = "g";
    request.member_id = std::move(member_id);
    if (!instance.empty()) request.instance_id = std::move(instance);
    request.client_id = "client";
    request.host = "/127.0.0.1";
    request.protocol_type = "consumer";
    request.protocols = {{"range", "m"}, {"roundrobin", "m"}};
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    return request;
  }

  Token join(const classic::JoinRequest& request) {
    EXPECT_EQ(ClassicGroup::validate(request, config_), ErrorCode::kOk);
    const Token token = ++tokens_;
    take(group_.join(request, "u" + std::to_string(token), token, context()));
    return token;
  }
  Token sync(const std::string& member_id, std::int32_t generation,
             std::vector<std::pair<std::string, std::string>> assignments = {},
             std::string instance = {}) {
    classic::SyncRequest request;
    request.group = "g";
    request.member_id = member_id;
    if (!instance.empty()) request.instance_id = std::move(instance);
    request.generation = generation;
    request.assignments = std::move(assignments);
    const Token token = ++tokens_;
    take(group_.sync(request, token, context()));
    return token;
  }
  ErrorCode beat(const std::string& member_id, std::int32_t generation, std::string instance = {}) {
    return group_.heartbeat(identity(member_id, generation, std::move(instance)), context());
  }
  ErrorCode commit(const std::string& member_id, std::int32_t generation,
                   bool transactional = false) {
    return group_.check_commit(identity(member_id, generation), transactional, context());
  }
  std::vector<ErrorCode> leave(const std::vector<classic::LeavingMember>& members) {
    auto left = group_.leave(members, context());
    take(std::move(left.effects));
    std::vector<ErrorCode> errors;
    for (const auto& member : left.members) errors.push_back(member.error);
    return errors;
  }
  /// Time passes in small steps, as it does for a coordinator.
  void pass(std::chrono::milliseconds time) {
    const auto end = now_ + time;
    while (now_ < end) {
      now_ = std::min(end, now_ + kDeadlineStep);
      take(group_.expire(context()));
    }
  }

  bool answered(Token token) const { return joins_.contains(token) || syncs_.contains(token); }
  const classic::JoinReply& joined(Token token) {
    EXPECT_TRUE(joins_.contains(token)) << "the join still waits";
    return joins_[token];
  }
  const classic::SyncReply& synced(Token token) {
    EXPECT_TRUE(syncs_.contains(token)) << "the sync still waits";
    return syncs_[token];
  }

  /// A stable group of `count` dynamic members; the first one leads. Their ids.
  std::vector<std::string> stable(std::size_t count) {
    std::vector<Token> tokens{join(joining())};
    std::vector<std::string> ids{joined(tokens[0]).member_id};
    for (std::size_t i = 1; i < count; ++i) {
      tokens.push_back(join(joining()));
      // Those that are in already join again.
      for (const auto& id : ids) tokens.push_back(join(joining(id)));
      ids.push_back(joined(tokens[tokens.size() - 1 - ids.size()]).member_id);
    }
    settle(ids);
    return ids;
  }
  /// Every member syncs; each gets its id as its share.
  void settle(const std::vector<std::string>& ids) {
    std::vector<std::pair<std::string, std::string>> shares;
    for (const auto& id : ids) shares.emplace_back(id, "share of " + id);
    for (const auto& id : ids) sync(id, group_.generation(), shares);
    EXPECT_EQ(group_.state(), State::kStable);
  }

  ClassicGroup::Context context() { return {now_, config_}; }
  static classic::MemberIdentity identity(const std::string& member_id, std::int32_t generation,
                                          std::string instance = {}) {
    classic::MemberIdentity who{member_id, std::nullopt, generation};
    if (!instance.empty()) who.instance_id = std::move(instance);
    return who;
  }
  void take(ClassicGroup::Effects effects) {
    if (effects.store) stored_ = group_.encode(), ++stores_;
    for (auto& answer : effects.answers) {
      EXPECT_FALSE(answered(answer.token)) << "answered twice: " << answer.token;
      if (auto* reply = std::get_if<classic::JoinReply>(&answer.reply)) {
        joins_[answer.token] = std::move(*reply);
      } else {
        syncs_[answer.token] = std::get<classic::SyncReply>(std::move(answer.reply));
      }
      if (answer.after_store) after_store_.insert(answer.token);
    }
  }

  GroupConfig config_;
  ClassicGroup group_{"g"};
  ClassicGroup::Time now_ = std::chrono::seconds(1);
  Token tokens_ = 0;
  std::map<Token, classic::JoinReply> joins_;
  std::map<Token, classic::SyncReply> syncs_;
  std::set<Token> after_store_;
  std::string stored_;
  int stores_ = 0;
};

}  // namespace runnel::broker
