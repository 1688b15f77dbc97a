"""What tools ask: configs, log directories, leaders, quotas, access, producers."""
from steps_topics import TOPIC_CONFIGS, config
from world import step

TOPIC, BROKER = 2, 4
ODD_TYPES = [0, 1, 3, 8, 16, 32, 99, -1]


def resource(world, keys=("ResourceType", "ResourceName"), broker=15, odd=4):
    if world.chance(odd):
        return dict(zip(keys, (world.random.choice(ODD_TYPES), world.pick("", "1", "x"))))
    if world.chance(broker):
        return dict(zip(keys, (BROKER, world.pick("1", "1", "", "2", "x"))))
    return dict(zip(keys, (TOPIC, world.topic_name(odd=5))))


@step("DescribeConfigs", 4)
def describe_configs(world, version):
    def one():
        made = resource(world, odd=0)
        if made["ResourceType"] == BROKER or world.chance(50):
            made["ConfigurationKeys"] = world.some(0 if made["ResourceType"] == TOPIC else 1, 3,
                                                   lambda: world.random.choice(
                list(TOPIC_CONFIGS) + ["num.partitions", "log.retention.ms", "no.such"]))
        else:
            made["ConfigurationKeys"] = None
        return made
    fields = {"Resources": list({(r["ResourceType"], r["ResourceName"]): r
                                 for r in world.some(1, 2, one)}.values())}
    if world.chance(4):  # alone: with an odd type Kafka refuses all
        fields["Resources"] = [{**resource(world, odd=100), "ConfigurationKeys": None}]
    if version >= 1:
        fields["IncludeSynonyms"] = world.chance(30)
    if version >= 3:
        fields["IncludeDocumentation"] = world.chance(5)
    return fields


@step("AlterConfigs", 1.5)
def alter_configs(world, version):
    resources = [{**resource(world, broker=0),
                  "Configs": world.some(0, 2, lambda: config(world))}
                 for _ in range(world.pick(1, 1, 2))]
    # Each once: Kafka never answers a request that names one twice.
    fields = {"Resources": list({(r["ResourceType"], r["ResourceName"]): r
                                 for r in resources}.values()),
              "ValidateOnly": world.chance(20)}

    def after(answers):
        world.altered = True
    return fields, after


@step("IncrementalAlterConfigs", 3)
def incremental_alter_configs(world, version):
    def change():
        made = config(world)
        made["ConfigOperation"] = world.pick(0, 0, 0, 0, 1, 1, 2, 3) if world.chance(97) else \
            world.pick(4, -1)
        if made["Value"] == "" and made["ConfigOperation"] in (2, 3):
            made["ConfigOperation"] = 0
        return made
    fields = {"Resources": [{**resource(world, broker=0),
                             "Configs": world.some(0 if world.chance(10) else 1, 2, change)}
                            for _ in range(world.pick(1, 1, 2))],
              "ValidateOnly": world.chance(20)}

    def after(answers):
        world.altered = True
    return fields, after


@step("DescribeLogDirs", 1)
def describe_log_dirs(world, version):
    return {"Topics": None if world.chance(10) else [
        {"Topic": n, "Partitions": list(dict.fromkeys(world.partitions(n)))}
        for n in dict.fromkeys(world.topic_names(0, 2))]}


@step("AlterReplicaLogDirs", 0.5)
def alter_replica_log_dirs(world, version):
    return {"Dirs": [{"Path": world.pick("/nowhere", "relative", ""), "Topics": [
        {"Name": n, "Partitions": list(dict.fromkeys(world.partitions(n)))}
        for n in dict.fromkeys(world.topic_names(1, 2))]}]}


@step("ElectLeaders", 1)
def elect_leaders(world, version):
    fields = {"TopicPartitions": None if world.chance(5) else [
        {"Topic": n, "Partitions": list(dict.fromkeys(world.partitions(n)))}
        for n in dict.fromkeys(world.topic_names(0, 2))], "TimeoutMs": 15000}
    if version >= 1:
        fields["ElectionType"] = world.pick(0, 0, 1) if world.chance(95) else world.pick(2, -1)
    return fields


@step("AlterPartitionReassignments", 1)
def alter_partition_reassignments(world, version):
    def part(name):
        return {"PartitionIndex": world.partition(name),
                "Replicas": world.pick([1], [1], None, None, [2], [], [1, 2], [1, 1], [-1])}
    return {"TimeoutMs": 15000, "Topics": [
        {"Name": n, "Partitions": list({p["PartitionIndex"]: p for p in world.some(
            1, 2, lambda: part(n))}.values())}
        for n in dict.fromkeys(world.topic_names(1, 2))]}


@step("ListPartitionReassignments", 0.5)
def list_partition_reassignments(world, version):
    return {"TimeoutMs": 15000, "Topics": None if world.chance(30) else [
        {"Name": n, "PartitionIndexes": list(dict.fromkeys(world.partitions(n)))}
        for n in dict.fromkeys(world.topic_names(0, 2))]}


@step("DescribeClientQuotas", 0.7)
def describe_client_quotas(world, version):
    def one():
        kind = world.pick(0, 1, 2) if world.chance(92) else world.pick(3, -1)
        return {"EntityType": world.pick("user", "client-id", "ip", "odd", ""), "MatchType": kind,
                "Match": world.pick("x", "127.0.0.1") if kind == 0 else
                (None if world.chance(90) else "x")}
    return {"Components": world.some(0, 2, one), "Strict": world.chance(40)}


@step("DescribeUserScramCredentials", 0.5)
def describe_user_scram_credentials(world, version):
    return {"Users": world.pick(None, [], [{"Name": "nobody"}], [{"Name": "a"}, {"Name": "b"}],
                                [{"Name": "a"}, {"Name": "a"}], [{"Name": ""}])}


@step("DescribeAcls", 0.5)
def describe_acls(world, version):
    fields = {"ResourceTypeFilter": world.pick(1, 2, 0, 9), "ResourceNameFilter": world.pick(None, "x"),
              "PrincipalFilter": None, "HostFilter": None, "Operation": world.pick(1, 3, 0),
              "PermissionType": world.pick(1, 3, 0)}
    if version >= 1:
        fields["PatternTypeFilter"] = world.pick(1, 3, 4, 0)
    return fields


@step("CreateAcls", 0.4)
def create_acls(world, version):
    return {"Creations": world.some(0, 2, lambda: {
        "ResourceType": world.pick(2, 3, 0), "ResourceName": "x",
        "ResourcePatternType": 3, "Principal": world.pick("User:a", "a"), "Host": "*",
        "Operation": world.pick(3, 0), "PermissionType": world.pick(3, 0)})}


@step("DeleteAcls", 0.4)
def delete_acls(world, version):
    return {"Filters": world.some(0, 2, lambda: {
        "ResourceTypeFilter": world.pick(2, 1), "ResourceNameFilter": world.pick("x", None),
        "PatternTypeFilter": 3, "PrincipalFilter": None, "HostFilter": None,
        "Operation": world.pick(1, 3), "PermissionType": 1})}


@step("DescribeProducers", 1.5)
def describe_producers(world, version):
    return {"Topics": [{"Name": n, "PartitionIndexes": list(dict.fromkeys(world.partitions(n)))}
                       for n in dict.fromkeys(world.topic_names(1, 2))]}


@step("DescribeTransactions", 0.5)
def describe_transactions(world, version):
    return {"TransactionalIds": world.pick([], ["nobody"], ["nobody", "else"], [""])}


@step("ListTransactions", 0.5)
def list_transactions(world, version):
    fields = {"StateFilters": world.pick([], ["Ongoing"], ["Odd"], ["ongoing", "Empty"]),
              "ProducerIdFilters": world.pick([], [999999])}
    if version >= 1:
        fields["DurationFilter"] = world.pick(-1, 0, 1000)
    return fields
