// /metrics: the broker's figures as Prometheus reads them, and kafka_exporter's names beside them
// so that dashboards for Kafka show this broker.
#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <set>

#include "broker/http/limits.h"
#include "broker/http/metrics_names.h"
#include "broker/http/routes.h"
#include "storage/stats.h"

namespace runnel::broker::http {
namespace {

/// What Prometheus expects of text (exposition format 0.0.4).
std::string escaped(std::string_view text, bool in_label) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && in_label) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

using Labels = std::vector<std::pair<std::string_view, std::string>>;

class Exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    out_ += "# HELP " + name_ + " " + escaped(help, false) + "\n# TYPE " + name_ + " " +
            std::string(type) + "\n";
  }
  void sample(const Labels& labels, const std::string& value) {
    out_ += name_;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      out_ += i == 0 ? "{" : ",";
      out_ += std::string(labels[i].first) + "=\"" + escaped(labels[i].second, true) + "\"";
    }
    out_ += (labels.empty() ? " " : "} ") + value + "\n";
  }
  void sample(const Labels& labels, std::int64_t value) { sample(labels, std::to_string(value)); }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string name_;
  std::string out_;
};

std::string scaled(std::uint64_t value, std::uint64_t divisor) {
  if (divisor == 1) return std::to_string(value);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.6f",
                static_cast<double>(value) / static_cast<double>(divisor));
  return text.data();
}

void write_own(const HttpService& service, Exposition& out) {
  for (const auto& s : service.all_statistics()) {
    const Metric metric = metric_of(s);
    out.family(metric.name, metric.is_counter ? "counter" : "gauge", metric.help);
    out.sample({}, scaled(s.value, metric.divisor));
  }
}

/// One partition as kafka_exporter shows it.
struct PartitionRow {
  std::string topic;
  std::string partition;
  std::int64_t end = 0;
  std::int64_t start = 0;
};

struct TopicRows {
  std::vector<std::pair<std::string, std::size_t>> topics;  ///< name, partitions
  std::vector<PartitionRow> partitions;
  std::size_t left_out = 0;
};

TopicRows read_topics(const storage::Store& store) {
  TopicRows rows;
  for (const std::string& name : store.topic_names()) {
    const auto info = store.describe_topic(name);
    if (!info) continue;  // deleted meanwhile
    if (rows.topics.size() >= kMaxPartitionSeries) {
      rows.left_out += info->partitions.size();
      continue;
    }
    rows.topics.emplace_back(name, info->partitions.size());
    for (const storage::PartitionInfo& p : info->partitions) {
      if (rows.partitions.size() >= kMaxPartitionSeries) {
        ++rows.left_out;
        continue;
      }
      rows.partitions.push_back(
          {name, std::to_string(p.index.value()), p.last_stable.value(), p.log_start.value()});
    }
  }
  return rows;
}

template <class Value>
void write_partitions(Exposition& out, const TopicRows& rows, std::string_view name,
                      std::string_view help, const Value& value) {
  out.family(name, "gauge", help);
  for (const PartitionRow& p : rows.partitions) {
    out.sample({{"partition", p.partition}, {"topic", p.topic}}, value(p));
  }
}

void write_topics(const TopicRows& rows, Exposition& out) {
  out.family("kafka_brokers", "gauge", "Number of brokers: Runnel is one node.");
  out.sample({}, 1);
  out.family("kafka_topic_partitions", "gauge", "Number of partitions of this topic.");
  for (const auto& [name, count] : rows.topics) {
    out.sample({{"topic", name}}, static_cast<std::int64_t>(count));
  }
  const auto one = [](const PartitionRow&) { return std::int64_t{1}; };
  const auto none = [](const PartitionRow&) { return std::int64_t{0}; };
  write_partitions(out, rows, "kafka_topic_partition_current_offset",
                   "Offset behind the last record that can be read.",
                   [](const PartitionRow& p) { return p.end; });
  write_partitions(out, rows, "kafka_topic_partition_oldest_offset",
                   "Offset of the first record that is kept.",
                   [](const PartitionRow& p) { return p.start; });
  write_partitions(out, rows, "kafka_topic_partition_leader",
                   "Number of the broker that leads the partition.", one);
  write_partitions(out, rows, "kafka_topic_partition_leader_is_preferred",
                   "1: the leader is the preferred one.", one);
  write_partitions(out, rows, "kafka_topic_partition_replicas", "Copies of the partition.", one);
  write_partitions(out, rows, "kafka_topic_partition_in_sync_replica",
                   "Copies of the partition that are in sync.", one);
  write_partitions(out, rows, "kafka_topic_partition_under_replicated_partition",
                   "1: fewer copies are in sync than there are.", none);
}

struct GroupRow {
  std::string group;
  std::string topic;
  std::string partition;
  std::int64_t offset = 0;
  std::int64_t lag = 0;
};

struct GroupRows {
  std::vector<std::pair<std::string, std::size_t>> groups;  ///< name, members
  std::vector<GroupRow> partitions;
  std::size_t left_out = 0;
};

Status read_group(HttpService& service, const std::string& group, GroupRows& rows) {
  RUNNEL_TRY_ASSIGN(const auto offsets, service.store().committed_offsets(group));
  for (const storage::CommittedOffset& c : offsets) {
    const auto ref = service.store().partition(c.topic, c.partition);
    if (!ref) continue;  // its topic is gone
    if (rows.partitions.size() >= kMaxGroupSeries) {
      ++rows.left_out;
      continue;
    }
    const std::int64_t end = service.store().partition_info(*ref).last_stable.value();
    rows.partitions.push_back({group, c.topic, std::to_string(c.partition.value()),
                               c.offset.value(),
                               std::max<std::int64_t>(0, end - c.offset.value())});
  }
  return {};
}

Result<GroupRows> read_groups(HttpService& service) {
  GroupRows rows;
  RUNNEL_TRY_ASSIGN(const auto groups, service.coordinator().list());
  for (const auto& g : groups.groups) {
    if (rows.groups.size() >= kMaxGroupSeries) {
      ++rows.left_out;
      continue;
    }
    std::size_t members = 0;
    if (const auto found = service.coordinator().describe(g.group)) members = found->members.size();
    rows.groups.emplace_back(g.group, members);
    RUNNEL_TRY(read_group(service, g.group, rows));
  }
  return rows;
}

void write_sums(Exposition& out, const GroupRows& rows, std::string_view name,
                std::string_view help, std::int64_t GroupRow::*value) {
  std::map<std::pair<std::string, std::string>, std::int64_t> sums;
  for (const GroupRow& p : rows.partitions) sums[{p.group, p.topic}] += p.*value;
  out.family(name, "gauge", help);
  for (const auto& [of, sum] : sums) {
    out.sample({{"consumergroup", of.first}, {"topic", of.second}}, sum);
  }
}

void write_groups(const GroupRows& rows, Exposition& out) {
  out.family("kafka_consumergroup_members", "gauge", "Members of the consumer group.");
  for (const auto& [group, members] : rows.groups) {
    out.sample({{"consumergroup", group}}, static_cast<std::int64_t>(members));
  }
  const auto write = [&](std::string_view name, std::string_view help,
                         std::int64_t GroupRow::*value) {
    out.family(name, "gauge", help);
    for (const GroupRow& p : rows.partitions) {
      out.sample({{"consumergroup", p.group}, {"partition", p.partition}, {"topic", p.topic}},
                 p.*value);
    }
  };
  write("kafka_consumergroup_current_offset", "Committed offset of the group in the partition.",
        &GroupRow::offset);
  write_sums(out, rows, "kafka_consumergroup_current_offset_sum",
             "Sum of the group's committed offsets in the topic.", &GroupRow::offset);
  write("kafka_consumergroup_lag", "Records that the group has still to read in the partition.",
        &GroupRow::lag);
  write_sums(out, rows, "kafka_consumergroup_lag_sum",
             "Records that the group has still to read in the topic.", &GroupRow::lag);
}

/// Views are bounded by kMaxDefinitions.
void write_views(const storage::views::ViewService& service, Exposition& out) {
  using storage::views::ViewStatus;
  const std::vector<ViewStatus> all = service.status();
  const auto write = [&](std::string_view name, std::string_view type, std::string_view help,
                         const std::function<std::string(const ViewStatus&)>& value) {
    out.family(name, type, help);
    for (const ViewStatus& view : all) out.sample({{"view", view.name}}, value(view));
  };
  const auto text = [](std::uint64_t n) { return std::to_string(n); };
  out.family("runnel_view_state", "gauge", "1 for the state that the view is in.");
  for (const ViewStatus& view : all) {
    out.sample({{"state", std::string(name_of(view.state))}, {"view", view.name}}, 1);
  }
  out.family("runnel_view_records", "gauge",
             "Records that the view's generation has read, by what became of them.");
  for (const ViewStatus& view : all) {
    const storage::views::Counters& c = view.totals;
    const auto became = [&](const char* outcome, std::uint64_t count) {
      out.sample({{"outcome", outcome}, {"view", view.name}}, text(count));
    };
    became("applied", c.applied);
    became("error", c.errors);
    became("filtered", c.filtered);
    became("late", c.late);
  }
  write("runnel_view_lag", "gauge", "Records that the view has still to read.",
        [&](const ViewStatus& view) { return text(view.lag); });
  write("runnel_view_behind_seconds", "gauge",
        "For how long a running view has not been current, to within a second.",
        [&](const ViewStatus& view) {
          return scaled(static_cast<std::uint64_t>(view.behind.count()), 1'000);
        });
  write("runnel_view_skipped_offsets", "gauge",
        "Offsets that were removed from the log before the view read them.",
        [&](const ViewStatus& view) { return text(view.skipped); });
  write("runnel_view_groups", "gauge", "Groups that the view has state of, in each partition.",
        [&](const ViewStatus& view) { return text(view.groups); });
  write("runnel_view_state_bytes", "gauge", "The view's state on disk and in memory, roughly.",
        [&](const ViewStatus& view) { return text(view.state_bytes); });
  write("runnel_view_watchers", "gauge", "Subscribers that are told of the view's changes.",
        [&](const ViewStatus& view) { return text(view.watchers); });
}

void metrics(const CallRef& call) {
  answer_blocking(call, [call]() -> Result<Response> {
    Exposition out;
    write_own(call->service(), out);
    const TopicRows topics = read_topics(call->store());
    RUNNEL_TRY_ASSIGN(const GroupRows groups, read_groups(call->service()));
    out.family("runnel_metrics_omitted", "gauge",
               "partitions and places of groups that are left out of these metrics because there "
               "are too many");
    out.sample({}, static_cast<std::int64_t>(topics.left_out + groups.left_out));
    write_topics(topics, out);
    write_groups(groups, out);
    if (call->service().views() != nullptr) write_views(*call->service().views(), out);
    return Response{200, "text/plain; version=0.0.4; charset=utf-8", out.take(), {}};
  });
}

}  // namespace

std::vector<Route> metrics_routes() {
  return {{.pattern = "/metrics",
           .handler = metrics,
           .id = "getMetrics",
           .tag = "health",
           .summary = "All figures as Prometheus reads them, with kafka_exporter's names beside",
           .answers = {{200, "Text of the exposition format 0.0.4.", {{"text/plain"}}}}}};
}

}  // namespace runnel::broker::http
