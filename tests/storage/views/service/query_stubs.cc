// Stands in for the queries, which have tests of their own.
#include "storage/views/query/query.h"

namespace runnel::storage::views {
namespace {

tl::unexpected<Error> none() {
  return fail(ErrorCode::kUnsupported, "no queries here");
}

}  // namespace

Result<Answer> run_query(const sql::Query&, std::string_view, const ReadSnapshot&,
                         const QueryLimits&) {
  return none();
}
Result<Answer> explain(const sql::Statement&, std::string_view, const ReadSnapshot&) {
  return none();
}
Result<Answer> show(const sql::Show&, const ReadSnapshot&) {
  return none();
}
Result<Answer> describe(const sql::Describe&, const ReadSnapshot&) {
  return none();
}
Result<Answer> verify(const sql::Verify&, const ReadSnapshot&, const QueryLimits&) {
  return none();
}

}  // namespace runnel::storage::views
