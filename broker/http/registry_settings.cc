// What the schema registry asks of new schemas (/config) and allows to be done (/mode).
#include "broker/http/registry_call.h"
#include "protocol/filter/json_text.h"

namespace runnel::broker::http {
namespace {

using protocol::json_string;
using schemas::Compatibility;
using schemas::LogRecord;
using schemas::Mode;
using schemas::Refusal;
using schemas::RegistryState;
using schemas::Reply;

/// The subject of the path; nullopt: the path is that of all.
std::optional<std::string> subject_of(const Call& call) {
  if (!call.route().pattern.ends_with("{subject}")) return std::nullopt;
  return call.path("subject");
}

std::string setting(std::string_view name, std::string_view value) {
  return "{" + json_string(name) + ":" + json_string(value) + "}";
}

/// One record, made of what is known.
Reply<void> write_one(Call& asked,
                      const std::function<Reply<LogRecord>(const RegistryState&)>& make) {
  return asked.service().schemas().write(
      [&](const RegistryState& state) -> Reply<schemas::Registry::Change> {
        RUNNEL_ANSWER_ASSIGN(LogRecord record, make(state));
        return schemas::Registry::Change{std::move(record)};
      });
}

void get_config(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    const auto subject = subject_of(asked);
    const auto own = state.own_level(subject);
    if (subject && !own && !is_true(asked, "defaultToGlobal")) {
      return schemas::refuse(
          Refusal::kNoSubjectCompatibility,
          "Subject '" + *subject + "' does not have subject-level compatibility configured");
    }
    const auto all = state.own_level(std::nullopt).value_or(schemas::kDefaultCompatibility);
    return setting("compatibilityLevel", name_of(own.value_or(all)));
  });
}

void put_config(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const std::string name, read_setting(asked, "compatibility"));
    const auto level = schemas::compatibility_named(name);
    if (!level) {
      return schemas::refuse(Refusal::kInvalidCompatibility,
                             "Invalid compatibility level. Valid values are none, backward, "
                             "forward, full, backward_transitive, forward_transitive, and "
                             "full_transitive");
    }
    RUNNEL_ANSWER(write_one(asked, [&](const RegistryState& state) {
      return schemas::set_level(state, subject_of(asked), level);
    }));
    return setting("compatibility", name_of(*level));
  });
}

void delete_config(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    Compatibility before = schemas::kDefaultCompatibility;
    RUNNEL_ANSWER(write_one(asked, [&](const RegistryState& state) {
      before = state.own_level(subject_of(asked)).value_or(schemas::kDefaultCompatibility);
      return schemas::set_level(state, subject_of(asked), std::nullopt);
    }));
    return setting("compatibilityLevel", name_of(before));
  });
}

void get_mode(const CallRef& call) {
  answer_from_state(call, [](Call& asked, const RegistryState& state) -> Reply<std::string> {
    const auto subject = subject_of(asked);
    const auto own = state.own_mode(subject);
    if (subject && !own && !is_true(asked, "defaultToGlobal")) {
      return schemas::refuse(
          Refusal::kNoSubjectMode,
          "Subject '" + *subject + "' does not have subject-level mode configured");
    }
    const Mode all = state.own_mode(std::nullopt).value_or(Mode::kReadWrite);
    return setting("mode", name_of(own.value_or(all)));
  });
}

void put_mode(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    RUNNEL_ANSWER_ASSIGN(const std::string name, read_setting(asked, "mode"));
    const auto mode = schemas::mode_named(name);
    if (!mode) {
      return schemas::refuse(Refusal::kInvalidMode,
                             "Invalid mode. Valid values are READWRITE, READONLY, "
                             "READONLY_OVERRIDE and IMPORT");
    }
    RUNNEL_ANSWER(write_one(asked, [&](const RegistryState& state) {
      return schemas::set_mode(state, subject_of(asked), mode, is_true(asked, "force"));
    }));
    return setting("mode", name_of(*mode));
  });
}

void delete_mode(const CallRef& call) {
  answer_registry(call, [](Call& asked) -> Reply<std::string> {
    Mode before = Mode::kReadWrite;
    RUNNEL_ANSWER(write_one(asked, [&](const RegistryState& state) {
      before = state.own_mode(subject_of(asked)).value_or(Mode::kReadWrite);
      return schemas::set_mode(state, subject_of(asked), std::nullopt, false);
    }));
    return setting("mode", name_of(before));
  });
}

}  // namespace

std::vector<Route> registry_settings_routes() {
  std::vector<Route> all{
      registry_route(Method::kGet, "/config", get_config, "getCompatibility",
                     "What is asked of new schemas", "CompatibilityLevel"),
      registry_route(Method::kPut, "/config", put_config, "setCompatibility",
                     "Sets what is asked of new schemas", "CompatibilitySetting"),
      registry_route(Method::kDelete, "/config", delete_config, "resetCompatibility",
                     "Back to BACKWARD", "CompatibilityLevel"),
      registry_route(Method::kGet, "/config/{subject}", get_config, "getSubjectCompatibility",
                     "What is asked of a subject's new schemas", "CompatibilityLevel"),
      registry_route(Method::kPut, "/config/{subject}", put_config, "setSubjectCompatibility",
                     "Sets what is asked of a subject's new schemas", "CompatibilitySetting"),
      registry_route(Method::kDelete, "/config/{subject}", delete_config,
                     "resetSubjectCompatibility", "Back to what is asked of all",
                     "CompatibilityLevel"),
      registry_route(Method::kGet, "/mode", get_mode, "getMode", "What may be done",
                     "RegistryMode"),
      registry_route(Method::kPut, "/mode", put_mode, "setMode", "Sets what may be done",
                     "RegistryMode"),
      registry_route(Method::kDelete, "/mode", delete_mode, "resetMode", "Back to READWRITE",
                     "RegistryMode"),
      registry_route(Method::kGet, "/mode/{subject}", get_mode, "getSubjectMode",
                     "What may be done to a subject", "RegistryMode"),
      registry_route(Method::kPut, "/mode/{subject}", put_mode, "setSubjectMode",
                     "Sets what may be done to a subject", "RegistryMode"),
      registry_route(Method::kDelete, "/mode/{subject}", delete_mode, "resetSubjectMode",
                     "Back to what may be done to all", "RegistryMode"),
  };
  for (Route& each : all) {
    const bool of_mode = each.pattern.starts_with("/mode");
    if (each.method == Method::kPut) {
      each.bodies = registry_body(of_mode ? "RegistryMode" : "CompatibilitySetting");
      if (of_mode)
        each.query.push_back(registry_flag("force", "IMPORT although there are schemas."));
    }
    if (each.method == Method::kGet) {
      each.query.push_back(registry_flag("defaultToGlobal", "Tell what holds if nothing was set."));
    }
  }
  return all;
}

}  // namespace runnel::broker::http
