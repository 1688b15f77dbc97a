#!/usr/bin/env bash
# Builds a separate project against what `cmake --install` gives: once by find_package, once by
# pkg-config, and runs both on a store of their own.
#   install_test.sh BUILD_DIR CMAKE CXX
set -euo pipefail

build=$1
cmake=$2
cxx=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --component client --prefix "$work/prefix" >"$work/install.log"

mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(user LANGUAGES CXX)
find_package(runnel 0.1 CONFIG REQUIRED)
add_executable(remote remote.cc)
target_link_libraries(remote PRIVATE runnel::client)
add_executable(local local.cc)
target_link_libraries(local PRIVATE runnel::embedded)
CMAKE

# Over the network: port 1 has no broker, which must be said, not crash.
cat >"$work/project/remote.cc" <<'CXX'
#include <runnel/client.h>
#include <iostream>
int main() {
  runnel::ClientOptions options;
  options.connect_timeout = std::chrono::milliseconds(200);
  const auto client = runnel::connect("127.0.0.1:1", options);
  if (client || client.error().errc() != runnel::Errc::disconnected) return 1;
  std::cout << client.error().to_string() << "\n";
}
CXX

cat >"$work/project/local.cc" <<'CXX'
#include <runnel/client.h>
#include <iostream>
int main(int, char** argv) {
  auto client = runnel::open(argv[1]);
  if (!client) {
    std::cerr << client.error().to_string() << "\n";
    return 1;
  }
  const auto topic = client->admin().create_topic({.name = "t", .configs = {}}).get();
  auto producer = client->producer();
  const auto sent = producer.send({.topic = "t", .value = "hello"}).get();
  auto consumer = client->consumer();
  const auto assigned = consumer.assign({{{"t", 0}, runnel::Position::earliest()}}).get();
  if (!topic || !sent || !assigned) return 2;
  const auto batch = consumer.poll(std::chrono::seconds(10)).get();
  if (!batch || batch->size() != 1 || (*batch)[0].value != "hello") return 3;
  std::cout << "read back: " << *(*batch)[0].value << "\n";
}
CXX

echo "find_package:"
"$cmake" -S "$work/project" -B "$work/by_cmake" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$cxx" >"$work/configure.log"
"$cmake" --build "$work/by_cmake" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/by_cmake/remote"
"$work/by_cmake/local" "$work/data_cmake"

echo "pkg-config:"
pc=$(dirname "$(find "$work/prefix" -name runnel.pc)")
export PKG_CONFIG_PATH="$pc"
for pair in remote:runnel local:runnel-embedded; do
  program=${pair%%:*}
  package=${pair##*:}
  read -r -a flags <<<"$(pkg-config --cflags --libs "$package")"
  "$cxx" -std=c++20 -Wall -Wextra -Wpedantic -Werror "$work/project/$program.cc" "${flags[@]}" \
    -Wl,-rpath,"$(pkg-config --variable=libdir "$package")" -o "$work/$program"
done
"$work/remote"
"$work/local" "$work/data_pkg"
