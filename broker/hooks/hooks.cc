#include "broker/hooks/hooks.h"

namespace runnel::broker::hooks {
namespace {

tl::unexpected<Error> unknown(std::string_view name) {
  return fail(ErrorCode::kNotFound, "there is no webhook '" + std::string(name) + "'");
}

HookRef make_known(Hook hook, std::shared_ptr<HookCounts> counts) {
  if (!counts) counts = std::make_shared<HookCounts>();
  return std::make_shared<const KnownHook>(KnownHook{std::move(hook), std::move(counts)});
}

}  // namespace

Hooks::Hooks(storage::Store& store, storage::Clock& clock,
             const std::function<void(std::string_view)>& warn)
    : store_(store), clock_(clock) {
  const auto entries = store_.read_state(kHookPrefix);
  if (!entries) {
    loaded_ = fail(entries.error().within("the webhooks could not be read"));
    if (warn) warn(loaded_.error().message());
    return;
  }
  MutexLock lock(mutex_);
  for (const auto& [key, value] : *entries) {
    const std::string name = key.substr(kHookPrefix.size());
    auto hook = decode_hook(name, value);
    if (!hook && warn) warn(hook.error().message());
    hooks_.emplace(name, hook ? Result<HookRef>(make_known(std::move(*hook), nullptr))
                              : Result<HookRef>(fail(hook.error())));
  }
}

Result<HookRef> Hooks::find(std::string_view name) const {
  RUNNEL_TRY(loaded_);
  MutexLock lock(mutex_);
  const auto found = hooks_.find(name);
  if (found == hooks_.end()) return unknown(name);
  return found->second;
}

std::vector<HookRef> Hooks::all() const {
  MutexLock lock(mutex_);
  std::vector<HookRef> out;
  for (const auto& [name, hook] : hooks_) {
    if (hook) out.push_back(*hook);
  }
  return out;
}

Result<Hooks::Put> Hooks::put(Hook hook) {
  RUNNEL_TRY(loaded_);
  MutexLock changing(changing_);
  HookRef before;
  bool is_new = false;
  {
    MutexLock lock(mutex_);
    const auto found = hooks_.find(hook.name);
    is_new = found == hooks_.end();
    if (!is_new && found->second) before = *found->second;
    if (is_new && hooks_.size() >= kMaxHooks) {
      return fail(ErrorCode::kOverloaded, "there are " + std::to_string(kMaxHooks) +
                                              " webhooks, which is the most; delete some");
    }
  }
  hook.created = before ? before->hook.created : clock_.now();
  if (before && hook.secrets.empty() && hook.scheme == before->hook.scheme) {
    hook.secrets = before->hook.secrets;
  }
  RUNNEL_TRY(check_hook(hook));
  RUNNEL_TRY(store_.partition(hook.topic, PartitionIndex(0)));
  const std::string name = hook.name;
  RUNNEL_TRY(write(name, encode_hook(hook)));
  HookRef known = make_known(std::move(hook), before ? before->counts : nullptr);
  MutexLock lock(mutex_);
  hooks_.insert_or_assign(name, known);
  return Put{std::move(known), is_new};
}

Status Hooks::remove(const std::string& name) {
  RUNNEL_TRY(loaded_);
  MutexLock changing(changing_);
  {
    MutexLock lock(mutex_);
    if (hooks_.find(name) == hooks_.end()) return unknown(name);
  }
  RUNNEL_TRY(write(name, std::nullopt));
  MutexLock lock(mutex_);
  hooks_.erase(name);
  return {};
}

Status Hooks::write(const std::string& name, std::optional<std::string> value) {
  storage::CommitRequest request;
  request.state.push_back({std::string(kHookPrefix) + name, std::move(value)});
  const auto outcome = store_.commit_and_wait(std::move(request));
  if (!outcome.result) return fail(outcome.result.error());
  return {};
}

}  // namespace runnel::broker::hooks
