#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <iterator>

#include "broker/net/loop.h"

namespace runnel::broker {
namespace {

TEST(NetChoiceTest, NamesAndExplainsItself) {
  EXPECT_EQ(*parse_net_mode("io_uring"), NetMode::kIoUring);
  EXPECT_EQ(*parse_net_mode("epoll"), NetMode::kEpoll);
  EXPECT_FALSE(parse_net_mode("select"));
  EXPECT_EQ(choose_net(NetMode::kEpoll)->mode, NetMode::kEpoll);
  const auto chosen = choose_net(NetMode::kAuto);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->mode == NetMode::kIoUring, probe_io_uring().has_value());
  EXPECT_EQ(chosen->sentence.find("Network: "), 0u);
  std::printf("%s\n", chosen->sentence.c_str());
}

/// Forbids io_uring to this process, as Docker's default seccomp profile does.
bool forbid_io_uring() {
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(rules)), rules};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(NetChoiceTest, FallsBackWhereIoUringIsForbiddenAndSaysWhy) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!forbid_io_uring()) ::_exit(10);
    const auto chosen = choose_net(NetMode::kAuto);
    if (!chosen || chosen->mode != NetMode::kEpoll) ::_exit(11);
    if (chosen->sentence.find("seccomp") == std::string::npos) ::_exit(12);
    const auto demanded = choose_net(NetMode::kIoUring);
    if (demanded || demanded.error().code() != ErrorCode::kUnsupported) ::_exit(13);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace runnel::broker
