// A directory of backups of a pretended store: what is kept once, what is noticed, what comes back.
#include "tools/backup/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/backup/chain.h"

namespace runnel::tools {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class Backups : public testing::Test {
 protected:
  Backups() {
    std::string pattern = fs::temp_directory_path() / "runnel-backup-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::create_directories(source() + "/segments");
    fs::create_directories(source() + "/index");
    write("FORMAT", "the format\n");
  }
  ~Backups() override { fs::remove_all(root_); }

  [[nodiscard]] std::string source() const { return root_ + "/source"; }
  [[nodiscard]] std::string path() const { return root_ + "/backups"; }
  static void put(const std::string& file, const std::string& text) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  }
  static std::string get(const std::string& file) {
    std::ostringstream out;
    out << std::ifstream(file, std::ios::binary).rdbuf();
    return out.str();
  }
  /// A file of the snapshot; the first `bytes` count, all of them if that is not said.
  void write(const std::string& name, const std::string& text, std::size_t bytes = SIZE_MAX) {
    put(source() + "/" + name, text);
    std::erase_if(snapshot_.files, [&](const auto& file) { return file.name == name; });
    snapshot_.files.push_back({name, std::min(bytes, text.size()), text.size()});
    // Two writes within one tick of the file system's clock are two writes.
    fs::last_write_time(source() + "/" + name, fs::file_time_type(std::chrono::seconds(++ticks_)));
  }
  void erase(const std::string& name) {
    fs::remove(source() + "/" + name);
    std::erase_if(snapshot_.files, [&](const auto& file) { return file.name == name; });
  }
  void journal(std::uint32_t number, const std::string& text, std::size_t bytes = SIZE_MAX) {
    write("segments/000000000" + std::to_string(number) + ".wal", text, bytes);
  }

  Backup create(std::int64_t taken) {
    snapshot_.directory = source();
    snapshot_.taken = Timestamp(taken);
    auto repository = Repository::open_or_create(path());
    EXPECT_TRUE(repository) << repository.error().message();
    auto made = repository->create(snapshot_, "store", quiet);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : Backup();
  }
  [[nodiscard]] std::vector<std::string> problems() const {
    const auto repository = Repository::open(path());
    if (!repository) return {repository.error().message()};
    const auto wrong = repository->verify(*repository->contents(), quiet);
    EXPECT_TRUE(wrong) << wrong.error().message();
    return wrong ? *wrong : std::vector<std::string>();
  }
  [[nodiscard]] Status restore(const Backup& backup, const std::string& name) const {
    const auto prepare = [](const std::string&) { return Status(); };
    return Repository::open(path())->restore(backup, root_ + "/" + name, prepare, quiet);
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> found;
    for (const auto& item : fs::recursive_directory_iterator(path())) {
      const std::string name = item.path();
      if (item.is_regular_file() && !name.ends_with("/LOCK")) found.push_back(name);
    }
    return found;
  }
  [[nodiscard]] std::vector<Backup> backups() const {
    return Repository::open(path())->contents()->backups;
  }

  static void quiet(std::uint64_t, std::uint64_t) {}
  std::string root_;
  storage::Snapshot snapshot_;
  int ticks_ = 0;
};

TEST_F(Backups, WhatIsThereAlreadyIsNotCopiedAgain) {
  journal(1, "closed and done.");
  journal(2, std::string("open") + std::string(12, '\0'), 4);
  write("index/1.sst", "first");
  EXPECT_EQ(create(1000).added, 11U + 16 + 4 + 5);
  journal(2, std::string("open, grown") + std::string(5, '\0'), 11);
  write("index/2.sst", "second");
  write("segments/0000000001.log", "moved");
  const Backup second = create(2000);
  EXPECT_EQ(second.added, 7U + 6 + 5);
  EXPECT_EQ(second.bytes(), 11U + 16 + 11 + 5 + 6 + 5);
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(create(3000).added, 0U);
}

TEST_F(Backups, EachOneIsRestoredAsItWas) {
  journal(1, "one" + std::string(5, '\0'), 3);
  write("index/1.sst", "first");
  write("segments/0000000001.log", "moved");
  const Backup first = create(1000);
  journal(1, "one, two");
  journal(2, "three and what follows", 5);
  write("index/1.sst", "another of that name");
  erase("segments/0000000001.log");
  const Backup second = create(2000);
  ASSERT_TRUE(restore(first, "a"));
  EXPECT_EQ(get(root_ + "/a/segments/0000000001.wal"), "one" + std::string(5, '\0'));
  EXPECT_EQ(get(root_ + "/a/segments/0000000001.log"), "moved");
  EXPECT_EQ(get(root_ + "/a/index/1.sst"), "first");
  EXPECT_EQ(get(root_ + "/a/FORMAT"), "the format\n");
  EXPECT_FALSE(fs::exists(root_ + "/a/restoring"));
  fs::create_directory(root_ + "/b");  // empty ones are taken
  ASSERT_TRUE(restore(second, "b"));
  EXPECT_EQ(get(root_ + "/b/segments/0000000001.wal"), "one, two");
  EXPECT_EQ(get(root_ + "/b/segments/0000000002.wal"), "three" + std::string(17, '\0'));
  EXPECT_EQ(get(root_ + "/b/index/1.sst"), "another of that name");
  EXPECT_FALSE(fs::exists(root_ + "/b/segments/0000000001.log"));
  const Status full = restore(second, "b");
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().message(), HasSubstr("is not empty"));
}

TEST_F(Backups, AByteThatChangesAnywhereIsFoundAndSoIsAFileThatIsGone) {
  journal(1, "0123456789", 4);
  write("index/1.sst", "first");
  create(1000);
  journal(1, "0123456789");
  write("segments/0000000001.log", "moved");
  create(2000);
  EXPECT_THAT(problems(), IsEmpty());
  const auto all = files();
  ASSERT_THAT(all, SizeIs(8));  // REPOSITORY, two lists, FORMAT, two parts, moved, first
  for (const std::string& file : all) {
    const std::string whole = get(file);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ 1);
      put(file, damaged);
      const auto wrong = problems();
      ASSERT_THAT(wrong, Not(IsEmpty())) << file << " byte " << i;
      EXPECT_THAT(wrong.front(), HasSubstr(file));
      put(file, whole.substr(0, i));
      ASSERT_THAT(problems(), Not(IsEmpty())) << file << " cut at " << i;
    }
    put(file, whole + "x");
    ASSERT_THAT(problems(), Not(IsEmpty())) << file << " with more behind it";
    fs::remove(file);
    ASSERT_THAT(problems(), Not(IsEmpty())) << file << " is gone";
    put(file, whole);
    ASSERT_THAT(problems(), IsEmpty()) << file;
  }
}

TEST_F(Backups, WhatIsDamagedIsNotRestoredAndLeavesNothing) {
  journal(1, "0123456789");
  const Backup backup = create(1000);
  for (const std::string& file : files()) {
    if (file.find(".wal") != std::string::npos) put(file, "01234x6789");
  }
  const Status restored = restore(backup, "a");
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(restored.error().message(), HasSubstr("is not what was backed up"));
  EXPECT_FALSE(fs::exists(root_ + "/a"));
  fs::create_directory(root_ + "/b");
  EXPECT_FALSE(restore(backup, "b"));
  EXPECT_TRUE(fs::is_empty(root_ + "/b"));
}

TEST_F(Backups, OneDamagedListKeepsNobodyFromTheOthers) {
  journal(1, "0123456789", 4);
  const Backup first = create(1000);
  journal(1, "0123456789");
  const Backup second = create(2000);
  const std::string list = path() + "/backups/" + first.id + ".jsonl";
  put(list, "damaged");
  EXPECT_THAT(backups(), SizeIs(1));
  EXPECT_TRUE(restore(backups().front(), "a"));
  EXPECT_EQ(get(root_ + "/a/segments/0000000001.wal"), "0123456789");
  fs::remove(path() + "/REPOSITORY");
  EXPECT_THAT(backups(), SizeIs(1)) << "the lists are looked for";
  EXPECT_FALSE(Repository::open_or_create(path()));
}

TEST_F(Backups, WhatAnInterruptedOneLeftIsTakenOverOrRemoved) {
  journal(1, "01234");
  create(1000);
  journal(2, "6789");
  write("index/2.sst", "second");
  // As if it had ended before its list was written.
  const Backup cut_off = create(2000);
  fs::remove(path() + "/backups/" + cut_off.id + ".jsonl");
  put(path() + "/REPOSITORY", get(path() + "/REPOSITORY"));
  auto repository = Repository::open(path());
  ASSERT_TRUE(repository->remove(cut_off.id));
  fs::create_directories(path() + "/data/segments");
  put(path() + "/data/incoming", "half");
  put(path() + "/data/index/9.sst.0-0123456789abcdef", "of an attempt");
  EXPECT_THAT(problems(), IsEmpty());
  const Backup again = create(3000);
  EXPECT_EQ(again.added, 4U + 6);
  EXPECT_FALSE(fs::exists(path() + "/data/incoming"));
  EXPECT_FALSE(fs::exists(path() + "/data/index/9.sst.0-0123456789abcdef"));
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(Backups, WhatWasCopiedBeforeAFailureIsNotCopiedAgain) {
  journal(1, "01234");
  create(1000);
  journal(2, "six seven eight");
  write("index/2.sst", "second");
  snapshot_.files.push_back({"index/missing.sst", 5, 5});
  auto repository = Repository::open_or_create(path());
  snapshot_.taken = Timestamp(2000);
  ASSERT_FALSE(repository->create(snapshot_, "store", quiet));
  EXPECT_THAT(backups(), SizeIs(1));
  snapshot_.files.pop_back();
  EXPECT_EQ(create(3000).added, 0U);
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(Backups, AListThatCantBeReadForAMomentCostsNobodyHisBackup) {
  journal(1, "01234");
  const Backup first = create(1000);
  erase("segments/0000000001.wal");
  journal(2, "six seven eight");
  const std::string list = path() + "/backups/" + first.id + ".jsonl";
  auto repository = Repository::open_or_create(path());
  snapshot_.directory = source();
  snapshot_.taken = Timestamp(2000);
  const auto away = [&](std::uint64_t, std::uint64_t) {
    if (fs::exists(list)) fs::rename(list, list + "-away");
  };
  ASSERT_TRUE(repository->create(snapshot_, "store", away));
  fs::rename(list + "-away", list);
  EXPECT_THAT(backups(), SizeIs(2));
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(Backups, TheOrderIsThatOfTheirMakingWhateverTheClockSays) {
  journal(1, "of a wrong clock");
  create(4'000'000);
  journal(1, "of a wrong clock, then of a right one");
  const Backup second = create(1000);
  journal(1, "of a wrong clock, then of a right one, twice");
  const Backup third = create(2000);
  ASSERT_THAT(backups(), SizeIs(3));
  EXPECT_EQ(backups()[1], second);
  EXPECT_EQ(backups()[2], third);
}

TEST_F(Backups, WhoseOrderIsNotKnownAreNotChanged) {
  journal(1, "01234");
  const Backup first = create(1000);
  const std::string whole = get(path() + "/REPOSITORY");
  put(path() + "/REPOSITORY", whole + "x");
  auto repository = Repository::open(path());
  EXPECT_EQ(repository->remove(first.id).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(repository->create(snapshot_, "store", quiet).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(get(path() + "/REPOSITORY"), whole + "x");
  EXPECT_TRUE(restore(first, "a"));
}

TEST_F(Backups, AStoreThatWentAnotherWayIsKeptBesideTheOther) {
  journal(1, "0123456789");
  const Backup first = create(1000);
  journal(1, "01234xyz89ab");
  const Backup second = create(2000);
  EXPECT_EQ(second.added, 12U);
  ASSERT_TRUE(restore(first, "a"));
  EXPECT_EQ(get(root_ + "/a/segments/0000000001.wal"), "0123456789");
  ASSERT_TRUE(restore(second, "b"));
  EXPECT_EQ(get(root_ + "/b/segments/0000000001.wal"), "01234xyz89ab");
  const auto stranger = Repository::open_or_create(path())->create(snapshot_, "stranger", quiet);
  ASSERT_FALSE(stranger);
  EXPECT_THAT(stranger.error().message(), HasSubstr("backups of store store, this is stranger"));
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(Backups, DeletingOneLeavesWhatOthersNeed) {
  journal(1, "0123456789", 4);
  write("index/1.sst", "first");
  const Backup first = create(1000);
  journal(1, "0123456789");
  write("index/2.sst", "second");
  const Backup second = create(2000);
  auto repository = Repository::open(path());
  EXPECT_EQ(*repository->removable(second.id), 6U + 6);
  EXPECT_EQ(*repository->remove(second.id), 6U + 6);
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_TRUE(restore(first, "a"));
  EXPECT_EQ(*repository->remove(first.id), 11U + 4 + 5);
  EXPECT_THAT(files(), SizeIs(1));
  EXPECT_THAT(repository->remove("none").error().message(), HasSubstr("there is no backup none"));
  EXPECT_THAT(repository->removable("none").error().message(), HasSubstr("no backup none"));
}

TEST_F(Backups, OneAtATimeWrites) {
  journal(1, "01234");
  create(1000);
  const auto repository = Repository::open(path());
  {
    const auto reading = repository->lock_for_reading();
    ASSERT_TRUE(reading);
    ASSERT_TRUE(repository->lock_for_reading()) << "many may read";
    auto other = Repository::open(path());
    const auto made = other->create(snapshot_, "store", quiet);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code(), ErrorCode::kLocked);
  }
  create(2000);
}

TEST_F(Backups, AFirstOneThatWasCutOffAtOnceIsNone) {
  fs::create_directories(path() + "/backups");
  EXPECT_EQ(Repository::open(path()).error().code(), ErrorCode::kNotFound);
  fs::create_directories(path() + "/data");
  EXPECT_EQ(Repository::open(path()).error().code(), ErrorCode::kNotFound);
  put(path() + "/data/incoming", "what no list names");
  EXPECT_TRUE(Repository::open(path())) << "its list is lost";
}

TEST_F(Backups, AnotherDirectoryIsLeftAlone) {
  fs::create_directories(path());
  put(path() + "/something", "else");
  const auto repository = Repository::open_or_create(path());
  ASSERT_FALSE(repository);
  EXPECT_THAT(repository.error().message(), HasSubstr("holds something else ('something')"));
  EXPECT_EQ(Repository::open(path()).error().code(), ErrorCode::kNotFound);
  fs::remove(path() + "/something");
  EXPECT_TRUE(Repository::open_or_create(path()));
  put(path() + "/REPOSITORY", "runnel backup repository\nformat 2\n");
  EXPECT_EQ(Repository::open(path()).error().code(), ErrorCode::kFormatTooNew);
}

// ---- moments between backups
class Chains : public Backups {
 protected:
  void end(std::int64_t offset) {
    snapshot_.partitions = {
        {PartitionId(1), PartitionIndex(0), Offset(0), Offset(offset), "orders"}};
  }
  static std::vector<std::string> names(const Chain& chain) {
    std::vector<std::string> out;
    for (const BackupFile& file : chain.backup.files) {
      out.push_back(file.name + " " + std::to_string(file.bytes()));
    }
    return out;
  }
  static storage::OffsetLimit limit(const std::string& text) { return *parse_limit(text); }
};

TEST_F(Chains, TakeTheEarlierIndexAndTheLaterSegments) {
  journal(1, "one" + std::string(5, '\0'), 3);
  write("index/1.sst", "first");
  end(10);
  const Backup first = create(1000);
  journal(1, "one, two");
  journal(2, std::string(69, 'j') + std::string(3, '\0'), 69);
  write("segments/0000000001.log", "moved");
  write("index/2.sst", "second");
  end(20);
  create(2000);
  const auto between = chain_to_time(backups(), 1500);
  ASSERT_TRUE(between);
  EXPECT_EQ(between->backup.id, first.id);
  EXPECT_EQ(between->from, (storage::Position{1, 3}));
  EXPECT_EQ(between->broken, "");
  const std::vector<std::string> expected{"FORMAT 11", "index/1.sst 5", "segments/0000000001.log 5",
                                          "segments/0000000001.wal 8",
                                          "segments/0000000002.wal 69"};
  EXPECT_EQ(names(*between), expected);
  EXPECT_EQ(names(*chain_to_limits(backups(), {limit("orders[0]=15")})), expected);
  EXPECT_EQ(chain_to_limits(backups(), {limit("orders[0]=10")})->backup.id, first.id);
  EXPECT_EQ(chain_to_limits(backups(), {limit("orders[0]=20")})->from.segment, 2U);
  EXPECT_THAT(chain_to_limits(backups(), {limit("orders[0]=9")}).error().message(),
              HasSubstr("holds orders[0] beyond offset 9 already"));
  EXPECT_THAT(chain_to_limits(backups(), {limit("orders[1]=9")}).error().message(),
              HasSubstr("no backup knows orders[1]"));
  EXPECT_THAT(chain_to_time(backups(), 2000).error().message(),
              HasSubstr("the last backup, " + backups()[1].id + ", is of"));
  EXPECT_EQ(between->end, (storage::Position{2, 69}));
  EXPECT_FALSE(chain_to_limits(backups(), {limit("orders[0]=20")})->is_passed);
  EXPECT_THAT(chain_to_time(backups(), 999).error().message(), HasSubstr("the first backup is of"));
}

TEST_F(Chains, EndWhereTheJournalHasAGap) {
  journal(1, "one" + std::string(5, '\0'), 3);
  create(1000);
  erase("segments/0000000001.wal");
  journal(3, "three");
  create(2000);
  const auto chain = chain_to_time(backups(), 1500);
  ASSERT_TRUE(chain);
  EXPECT_THAT(chain->broken, HasSubstr("was deleted before that was made"));
  EXPECT_EQ(names(*chain), (std::vector<std::string>{"FORMAT 11", "segments/0000000001.wal 3"}));
}

TEST_F(Chains, EndWhereTheStoreWentAnotherWay) {
  journal(1, "one, two" + std::string(8, '\0'), 8);
  create(1000);
  journal(1, "one, another way", 16);
  create(2000);
  const auto chain = chain_to_time(backups(), 1500);
  ASSERT_TRUE(chain);
  EXPECT_THAT(chain->broken, HasSubstr("goes on from another state"));
}

TEST_F(Chains, ATimeThatTheClockShowedTwiceHasToBeToldApart) {
  std::vector<Backup> made;
  for (const std::int64_t taken : {1000, 3000, 2000, 4000}) {  // set back behind the second
    journal(1, "journal" + std::string(made.size(), '+'));
    made.push_back(create(taken));
  }
  const auto twice = chain_to_time(backups(), 2500);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(twice.error().message(),
              HasSubstr("after backup " + made[0].id + " and after backup " + made[2].id));
  EXPECT_EQ(chain_to_time(backups(), 2500, Passage::kFirst)->backup.id, made[0].id);
  const std::vector<Backup> on_from(made.begin() + 2, made.end());
  EXPECT_EQ(chain_to_time(on_from, 2500, Passage::kFirst)->backup.id, made[2].id);
  EXPECT_EQ(chain_to_time(backups(), 1500)->backup.id, made[0].id);
  EXPECT_EQ(chain_to_time(backups(), 3500)->backup.id, made[2].id);
  EXPECT_THAT(chain_to_time(backups(), 4500).error().message(), HasSubstr("the last backup"));
}

TEST_F(Chains, AnOffsetThatWasReachedTwiceHasToBeToldApart) {
  std::vector<Backup> made;
  for (const std::int64_t last : {10, 20, 5, 30}) {  // the topic was made anew
    journal(1, "journal" + std::string(made.size(), '+'));
    end(last);
    made.push_back(create(1000 * static_cast<std::int64_t>(made.size() + 1)));
  }
  const auto twice = chain_to_limits(backups(), {limit("orders[0]=15")});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(twice.error().message(), HasSubstr("orders[0] came to offset 15 more than once"));
  EXPECT_EQ(chain_to_limits(backups(), {limit("orders[0]=15")}, Passage::kFirst)->backup.id,
            made[0].id);
  EXPECT_EQ(chain_to_limits(backups(), {limit("orders[0]=25")})->backup.id, made[2].id);
  EXPECT_THAT(chain_to_limits(backups(), {limit("orders[0]=7")}).error().message(),
              HasSubstr("before backup " + made[0].id + " and after backup " + made[2].id));
}

TEST_F(Chains, LimitsAreWrittenAsTopicsAre) {
  EXPECT_EQ(limit("a.b[12]=99"), (storage::OffsetLimit{"a.b", PartitionIndex(12), Offset(99)}));
  for (const char* const wrong : {"", "orders", "orders=5", "[0]=5", "orders[]=5",
                                  "orders[0]=", "orders[-1]=5", "orders[0]=-5", "orders[0]=5x",
                                  "orders[x]=5", "orders]0[=5", "orders[0]=99999999999999999999"}) {
    EXPECT_FALSE(parse_limit(wrong)) << wrong;
  }
}

/// The block "```json" of docs/formats/backup.md.
TEST_F(Backups, ThePageShowsAList) {
  std::ifstream page(std::string(RUNNEL_SOURCE_DIR) + "/docs/formats/backup.md");
  std::string line;
  std::string shown;
  bool inside = false;
  while (std::getline(page, line)) {
    if (line.starts_with("```")) {
      inside = line == "```json";
      continue;
    }
    if (inside) shown += line + "\n";
  }
  const auto backup = parse_backup(shown);
  ASSERT_TRUE(backup) << backup.error().message() << "\n" << shown;
  EXPECT_EQ(backup_text(*backup), shown);
  EXPECT_EQ(backup->bytes(), 96U + 65536 + 4160 + 400);
}

}  // namespace
}  // namespace runnel::tools
