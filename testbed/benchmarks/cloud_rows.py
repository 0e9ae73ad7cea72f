"""The rows of `testbed/bench cloud`: what is done to the cloud and to its peer, and what is wanted."""

import json
import threading

from cloud_servers import API, POLL, fsync_ms
from measure import BenchError, Line, Peak, anonymous_bytes, say
from rows import interleaved, measured

MIB = 1 << 20


def cloud_at_most(limit):
    return lambda line: line.median("cloud") <= limit


def ratio_at_least(limit):
    return lambda line: line.ratio >= limit


def load_of(stand, server, mode, **options):
    """Polls at the cloud with tokens drawn at random; at nginx its one answer."""
    if server.name == "cloud":
        return stand.load(mode, server.target(), draws=stand.polls(server), **options)
    return stand.load(mode, server.target(), **options)


def per_cpu_second(stand, server, mode, seconds=None):
    report, cpu = measured(stand, server, lambda: load_of(stand, server, mode, connections=32,
                                                          seconds=seconds or stand.seconds), statuses=[200, 204])
    return report["answers"] / cpu


def polls(stand):
    """Update checks on kept connections, with nothing to do, by tokens drawn at random."""
    line = Line("polls", f"update check, kept alive, {stand.small.devices} devices: per CPU s", "1/s", digits=0,
                target=">= 0.4 x nginx", holds=ratio_at_least(0.4))
    for server in interleaved([stand.small, stand.nginx], stand.rounds):
        line.add(server.name, per_cpu_second(stand, server, "requests"))
    return [line]


def connects(stand):
    """Update checks with a TLS connection each."""
    line = Line("connects", "update check, new TLS connection each: per CPU s", "1/s", digits=0, target=">= 0.95 x nginx",
                holds=ratio_at_least(0.95))
    for server in interleaved([stand.small, stand.nginx], stand.rounds):
        line.add(server.name, per_cpu_second(stand, server, "connects"))
    return [line]


def fleet(stand):
    """The same with the large fleet, in turns with the small one: cost of a request, memory and disk."""
    line = Line("fleet", f"cost of an update check, {stand.large.devices} devices to {stand.small.devices}", "x", digits=2,
                target="<= 1.3", holds=cloud_at_most(1.3))
    memory = Line("fleet", f"{stand.large.devices} devices: anonymous memory", "MiB", digits=0, target="<= 1024",
                  holds=cloud_at_most(1024))
    disk = Line("fleet", f"{stand.large.devices} devices with 20 attributes: disk for each", "bytes", digits=0, target="<= 5000",
                holds=cloud_at_most(5000))
    with Peak(memory=lambda: anonymous_bytes(stand.large.pid)) as peak:
        for _ in range(stand.rounds):
            costs = [1 / per_cpu_second(stand, server, "requests") for server in (stand.small, stand.large)]
            line.add("cloud", costs[1] / costs[0])
    memory.add("cloud", peak["memory"] / MIB)
    disk.add("cloud", stand.large.fleet_bytes / stand.large.devices)
    return [line, memory, disk]


def reports(stand):
    """Status reports of 256 devices at once, each durable before its answer."""
    line = Line("reports", "status reports, durable, 256 at once", "1/s", digits=0, target=">= 5000 where fsync <= 2 ms",
                holds=lambda line: line.median("cloud") >= 5000 or sync.median("cloud") > 2)
    sync = Line("reports", "a small write and its fsync", "ms", digits=2)
    cloud = stand.small
    release = cloud.upload("reports")
    devices = [device for device, _ in cloud.tokens]
    deployment = cloud.deploy(release, devices)
    begun = cloud.draws("begun", (("GET", POLL.replace("release-0", "other"), token) for _, token in cloud.tokens))
    stand.load("requests", cloud.target(), draws=begun, in_order=True, connections=64, seconds=200).result(statuses=[200])
    path = f"{API}/deployments/device/deployments/{deployment}/status"
    for status in ("downloading", "installing", "rebooting", "success"):
        sync.add("cloud", fsync_ms(cloud.data))
        draws = cloud.draws(status, (("PUT", path, token, json.dumps({"status": status})) for _, token in cloud.tokens))
        report, _ = measured(stand, cloud, lambda draws=draws: stand.load(
            "requests", cloud.target(), draws=draws, in_order=True, connections=256, seconds=200), statuses=[204])
        line.add("cloud", report["answers"] / report["seconds"])
    counts = cloud.manage("GET", f"v1/deployments/deployments/{deployment}/statistics").json()
    if counts["success"] != len(devices):
        raise BenchError(f"{counts['success']} of {len(devices)} devices are counted as successful")
    return [line, sync]


def create(stand):
    """A deployment to everyone of the large fleet, and polls meanwhile."""
    made = Line("create", f"deployment to all of {stand.large.devices}: created in", "s", digits=2, target="<= 2",
                holds=cloud_at_most(2))
    beside = Line("create", "slowest update check meanwhile", "ms", digits=1, target="<= 50", holds=cloud_at_most(50))
    release = stand.large.upload("everyone")
    for _ in range(1 if stand.is_quick else 3):
        load = stand.load("requests", stand.large.target(), draws=stand.polls(stand.large), connections=4, seconds=4,
                          requests_per_second=100)
        took = []
        thread = threading.Timer(1, lambda took=took: took.append(stand.large.deploy_to_all(release)))
        thread.start()
        report = load.result(statuses=[200, 204])
        thread.join()
        if not took:
            raise BenchError("the deployment was not made")
        made.add("cloud", took[0])
        beside.add("cloud", report["latency"]["max"] * 1e3)
        open_ones = stand.large.manage("GET", "v1/deployments/deployments?status=pending&status=inprogress").json()
        for deployment in open_ones:
            stand.large.abort(deployment["id"])
        say(f"    created in {took[0]:.2f} s")
    return [made, beside]


ROWS = {"polls": polls, "connects": connects, "fleet": fleet, "reports": reports, "create": create}
