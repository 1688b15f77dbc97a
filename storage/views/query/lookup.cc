#include "storage/views/query/lookup.h"

#include "storage/views/sql/nearest.h"

namespace runnel::storage::views {

Result<DefinitionRef> find_definition(const sql::Name& name, const ReadSnapshot& snapshot) {
  DefinitionRef found = snapshot.definitions->find(name.text);
  if (found != nullptr) return found;
  std::vector<std::string_view> names;
  for (const auto& [known, definition] : snapshot.definitions->all()) names.push_back(known);
  const auto meant = sql::nearest(name.text, names);
  const Error error =
      sql::error_at(name.place, "there is no source, table or view '" + name.text + "'; " +
                                    (meant ? "did you mean '" + std::string(*meant) + "'?"
                                           : std::string("SHOW ALL lists them")));
  return fail(ErrorCode::kNotFound, error.message());
}

Result<std::shared_ptr<const Zone>> zone_of(const sql::Query& query,
                                            const Definitions& definitions) {
  if (query.from) {
    const DefinitionRef view = definitions.find(query.from->source.text);
    if (view != nullptr && view->view) return Zone::find(view->view->options.time_zone);
  }
  return Zone::find("UTC");
}

}  // namespace runnel::storage::views
