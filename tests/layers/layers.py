#!/usr/bin/env python3
"""Proves that includes point down only, and that heavy libraries stay in their one folder.

usage: layers.py ROOT         checks the tree; one line a violation, exit code 1 if there is any
       layers.py --self-test  plants violations in a copy of the rules' world and expects each found
"""
import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Folder -> folders it may include from. The longest folder that matches a file counts.
MAY_INCLUDE = {
    "protocol/base": ["protocol/base"],
    "protocol/record_batch": ["protocol/base", "protocol/record_batch"],
    "protocol": ["protocol"],
    "storage/env": ["protocol", "storage/env"],
    "storage/segments": ["protocol", "storage/env", "storage/segments"],
    "storage/index": ["protocol", "storage/env", "storage/segments", "storage/index"],
    "storage/views/sql": ["protocol", "storage/views/sql"],
    "storage/views": ["protocol", "storage/env", "storage/views"],
    "storage/views/worker": ["protocol", "storage"],
    "storage/views/feed": ["protocol", "storage"],
    "storage/views/query": ["protocol", "storage"],
    "storage/views/service": ["protocol", "storage"],
    "storage": ["protocol", "storage"],
    "broker": ["protocol", "storage", "broker"],
    "client/include": ["runnel"],
    "client/src": ["protocol", "client/src", "client/include", "runnel"],
    "client/embedded": ["protocol", "storage", "broker", "client", "runnel"],
    "client/examples": ["runnel", "client/examples"],
    "tools": ["protocol", "storage", "broker", "client", "runnel", "tools"],
    "bench": ["protocol", "storage", "broker", "client", "runnel", "tools", "bench"],
    "tests": ["protocol", "storage", "broker", "client", "runnel", "tools", "bench", "tests"],
}

# Header prefix -> the only folders (or files) that may see it. A folder's tests may, too.
ONLY_IN = {
    "rocksdb/": ["storage/index"],
    "sqlite3.h": ["storage/views/adhoc", "client/examples", "tests"],
    "flatbuffers/": ["protocol/native"],
    "protocol/native/runnel_generated.h": ["protocol/native"],
    "liburing": ["broker/net", "bench"],
    "openssl/": ["broker/net", "broker/hooks"],
    "boost/asio": ["broker/net", "client/include/runnel/asio.h", "client/examples",
                   "tests/client"],
    "boost/beast": ["broker/net", "broker/http"],
}

# Folder -> headers it must not know: protocol does no I/O, and neither knows a socket.
SOCKETS = ["sys/socket.h", "netinet/", "arpa/inet.h", "netdb.h", "sys/epoll.h", "sys/un.h"]
NEVER = {
    "protocol": SOCKETS + ["thread", "fstream", "fcntl.h", "condition_variable"],
    "storage": SOCKETS,
}

SUFFIXES = {".h", ".cc", ".cpp", ".c"}
PROJECT_FOLDERS = {"protocol", "storage", "broker", "client", "runnel", "tools", "bench", "tests"}


def within(path, folder):
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def longest(path, table):
    """The row of `table` whose folder is the longest one that holds `path`, or None."""
    folders = [folder for folder in table if within(path, folder)]
    return max(folders, key=len) if folders else None


def starts_with_header(header, prefix):
    return header == prefix or header.startswith(prefix) and (
        prefix.endswith("/") or header[len(prefix)] in "/._")


def violation(path, header):
    """Why `path` must not include `header`, or None."""
    if header.split("/")[0] in PROJECT_FOLDERS and "/" in header:
        folder = longest(path, MAY_INCLUDE)
        if folder and not any(within(header, allowed) for allowed in MAY_INCLUDE[folder]):
            return f"{folder} may only include from {', '.join(MAY_INCLUDE[folder])}"
    for prefix, homes in ONLY_IN.items():
        if starts_with_header(header, prefix):
            homes = homes + ["tests/" + home for home in homes]
            if not any(within(path, home) for home in homes):
                return f"only {', '.join(homes)} may see it"
    for folder, headers in NEVER.items():
        if within(path, folder) and any(starts_with_header(header, h) for h in headers):
            return f"{folder} does no such I/O"
    return None


def check(root):
    """(files read, violations) of a tree."""
    found, count = [], 0
    for folder in sorted(PROJECT_FOLDERS):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in SUFFIXES:
                continue
            count += 1
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                why = match and violation(path, match.group(2))
                if why:
                    found.append(f"{path}:{number}: includes {match.group(2)}: {why}")
    return count, found


PLANTED = [  # (file, include, is a violation)
    ("protocol/record_batch/a.cc", '"storage/store.h"', True),
    ("protocol/base/a.h", '"protocol/native/messages.h"', True),
    ("protocol/native/a.cc", '"protocol/native/runnel_generated.h"', False),
    ("protocol/native/messages.h", "<flatbuffers/flatbuffers.h>", False),
    ("protocol/base/b.cc", "<thread>", True),
    ("protocol/base/c.cc", "<sys/socket.h>", True),
    ("storage/log/a.cc", '"broker/net/session.h"', True),
    ("storage/log/b.cc", "<rocksdb/db.h>", True),
    ("storage/index/a.cc", "<rocksdb/db.h>", False),
    ("storage/env/a.cc", '"storage/segments/journal.h"', True),
    ("storage/env/b.cc", "<netinet/in.h>", True),
    ("storage/views/sql/a.cc", '"storage/views/plan/plan.h"', True),
    ("storage/views/plan/a.cc", '"storage/views/sql/ast.h"', False),
    ("storage/views/plan/b.cc", '"storage/index/index.h"', True),
    ("storage/views/engine/a.cc", '"storage/store.h"', True),
    ("storage/views/worker/a.cc", '"storage/store.h"', False),
    ("storage/views/query/a.cc", '"storage/store.h"', False),
    ("storage/views/query/b.cc", "<sqlite3.h>", True),
    ("storage/views/adhoc/a.cc", "<sqlite3.h>", False),
    ("storage/views/adhoc/b.cc", '"storage/store.h"', True),
    ("broker/native/a.cc", '"client/src/connection.h"', True),
    ("broker/native/b.cc", "<liburing.h>", True),
    ("broker/net/a.cc", "<liburing.h>", False),
    ("broker/native/c.cc", "<boost/asio.hpp>", True),
    ("broker/native/d.cc", '"protocol/native/runnel_generated.h"', True),
    ("broker/groups/a.cc", '"tools/options/options.h"', True),
    ("client/include/runnel/client.h", '"protocol/base/error.h"', True),
    ("client/include/runnel/a.h", '"runnel/client.h"', False),
    ("client/include/runnel/asio.h", "<boost/asio/post.hpp>", False),
    ("client/include/runnel/client2.h", "<boost/asio/post.hpp>", True),
    ("client/src/a.cc", '"storage/store.h"', True),
    ("client/src/b.cc", '"broker/native/session.h"', True),
    ("client/embedded/a.cc", '"storage/store.h"', False),
    ("tools/a.cc", '"broker/net/server.h"', False),
    ("tools/b.cc", '"tests/support/a.h"', True),
    ("tools/c.cc", "  <rocksdb/db.h>", True),
    ("tests/storage/index/a_test.cc", "<rocksdb/db.h>", False),
    ("tests/system/a_test.cc", "<rocksdb/db.h>", True),
]


def self_test():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for path, header, _ in PLANTED:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"#pragma once\n\n#include {header}\n")
        count, found = check(root)
        assert count == len(PLANTED), count
        for path, header, expected in PLANTED:
            hit = any(line.startswith(path + ":3:") for line in found)
            assert hit == expected, f"{path} includes {header}: expected {expected}, found {hit}"
    print(f"self-test: {len(PLANTED)} planted includes judged as they should be")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    count, found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) if found else f"{count} files include in the allowed direction only")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
