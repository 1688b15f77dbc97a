// The console: a page at / and its files, which are compiled in.
//
// The page names its files below a digest of them all, so they are kept for ever and the page alone
// is asked for again. It uses the same API as everybody.
#include <algorithm>

#include "broker/http/call.h"
#include "broker/http/console/assets.h"
#include "broker/http/routes.h"

namespace runnel::broker::http {
namespace {

/// Nothing but the console's own files runs or is shown, whatever a record holds; and no string
/// becomes markup (trusted types), not even by a mistake of ours.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

bool takes_gzip(const Request& request) {
  const std::string* coding = request.header("accept-encoding");
  return coding != nullptr && accepts(*coding, "gzip");
}

Response answer_with(const console::Asset& asset, const Request& request,
                     std::string_view caching) {
  Response out;
  out.content_type = asset.type;
  out.headers = {{"Cache-Control", std::string(caching)},
                 {"Content-Security-Policy", std::string(kPolicy)},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cross-Origin-Opener-Policy", "same-origin"},
                 {"Vary", "Accept-Encoding"}};
  if (takes_gzip(request)) {
    out.headers.push_back({"Content-Encoding", "gzip"});
    out.body = asset.gzip;
  } else {
    out.body = asset.plain;
  }
  return out;
}

const console::Asset* find(std::string_view name) {
  const auto all = console::assets();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const console::Asset& asset) { return asset.name == name; });
  return found == all.end() ? nullptr : &*found;
}

void page(const CallRef& call) {
  call->reply(answer_with(*find("index.html"), call->request(), "no-cache"));
}

void file(const CallRef& call) {
  const console::Asset* const asset = find(call->path("file"));
  if (asset == nullptr || call->path("build") != console::build()) {
    return call->fail(problem(404, "unknown_path",
                              "the console of this broker has no such file; load the page at / "
                              "again, the broker has been replaced by another version"));
  }
  call->reply(answer_with(*asset, call->request(), "public, max-age=31536000, immutable"));
}

}  // namespace

std::vector<Route> console_routes() {
  return {
      {.pattern = "/",
       .handler = page,
       .id = "getConsole",
       .tag = "console",
       .summary = "The console, a page for people",
       .answers = {{200, "The page.", {{"text/html"}}}}},
      {.pattern = "/console/{build}/{file}",
       .handler = file,
       .id = "getConsoleFile",
       .tag = "console",
       .summary = "A file of the console, which never changes",
       .answers = {{200,
                    "The file.",
                    {{"text/javascript"}, {"text/css"}, {"image/svg+xml"}, {"text/html"}}}}},
  };
}

}  // namespace runnel::broker::http
