#include "broker/groups/topic_matcher.h"

#include <re2/re2.h>

namespace runnel::broker {
namespace {

Result<std::vector<std::string>> matching(const std::vector<std::string>& topics,
                                          const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemoryBytes);
  const RE2 compiled(pattern, options);
  if (!compiled.ok()) {
    return fail(ErrorCode::kInvalidRegularExpression, "the pattern \"" + pattern +
                                                          "\" cannot be used: " + compiled.error() +
                                                          ". Patterns have the syntax of RE2");
  }
  std::vector<std::string> found;
  for (const std::string& topic : topics) {
    if (RE2::FullMatch(topic, compiled)) found.push_back(topic);
  }
  return found;
}

}  // namespace

Group::TopicMatch matcher_of(const std::vector<std::string>& topics) {
  auto known = std::make_shared<std::map<std::string, Result<std::vector<std::string>>>>();
  return [&topics, known](const std::string& pattern) {
    auto place = known->find(pattern);
    if (place == known->end()) place = known->emplace(pattern, matching(topics, pattern)).first;
    return place->second;
  };
}

}  // namespace runnel::broker
