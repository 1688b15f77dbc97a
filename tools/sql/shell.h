// `runnel sql` at a terminal: lines with history and completion, statements over several of them,
// commands that begin with a backslash.
#pragma once

#include <string>

#include "runnel/client.h"
#include "tools/sql/run_statement.h"

namespace runnel::tools {

/// Until \q or the end of the input. Errors are shown and do not end it; Ctrl-C ends a statement,
/// in the broker too: `client`, of which there must be no other handle, becomes another connection
/// to `broker` then (as connect_to() takes it). kIo: standard output.
[[nodiscard]] Result<ExitCode> run_shell(Client& client, SqlSettings settings,
                                         const std::string& broker);

}  // namespace runnel::tools
