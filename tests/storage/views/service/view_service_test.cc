// Statements in, current views out; across restarts.
#include "storage/views/service/view_service.h"

#include "tests/storage/views/service/service_fixture.h"

namespace runnel::storage::views {
namespace {

using ViewServiceTest = ServiceFixture;

TEST_F(ViewServiceTest, AViewHasWhatWasThereAndWhatComes) {
  give({donation("sea", 100), "nonsense"});
  give({donation("sky", 50)}, 1);
  create_totals();
  EXPECT_EQ(rows("totals"), (Rows{"sea | 1 | 1.00", "sky | 1 | 0.50"})) << "when CREATE answers";
  give({donation("sea", 1)}, 1);
  catch_up();
  EXPECT_EQ(rows("totals"), (Rows{"sea | 2 | 1.01", "sky | 1 | 0.50"}));
  const ViewStatus now = status("totals");
  EXPECT_EQ(now.state, ViewState::kRunning);
  EXPECT_EQ(now.totals.records, 4u);
  EXPECT_EQ(now.totals.errors, 1u);
  EXPECT_EQ(now.lag, 0u);
  EXPECT_EQ(now.applied, (std::vector<Position>{{"donations", PartitionIndex(0), Offset(2)},
                                                {"donations", PartitionIndex(1), Offset(2)}}));
}

TEST_F(ViewServiceTest, DefinitionsAndStateSurvive) {
  create_totals();
  give({donation("sea", 100)});
  catch_up();
  restart();
  EXPECT_EQ(rows("totals"), Rows{"sea | 1 | 1.00"}) << "not folded anew";
  give({donation("sea", 1)});
  catch_up();
  EXPECT_EQ(rows("totals"), Rows{"sea | 2 | 1.01"});
}

}  // namespace
}  // namespace runnel::storage::views
