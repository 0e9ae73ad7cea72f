"""The networks of a test bed on one machine: a cloud, and an isolated site behind a gateway. Needs root.

    cloud 10.10.0.1 ----+---- wan switch ----+---- direct devices 10.10.0.101 ...
                        |                    (they see the cloud)
              10.10.0.2 |
                     gateway                 (does not forward)
              10.20.0.1 |
                        +---- site switch ---+---- devices 10.20.0.101 ...
                                             (no route beyond the site)

Every node is a network namespace. They have no names in the system; a keeper process owns them, and when this program
ends, also by SIGKILL, it kills what runs in them, and they are gone.

    with Site(devices=2, direct=1) as site:
        site.gateway.run(["ping", "-c", "1", site.cloud.address])
        server = site.cloud.popen([...])
        listener = site.cloud.listen(8443)             # a socket there, used from this process
        site.devices[0].call(client.run, seconds=60)   # a function of this process, with the node's network
"""

import contextlib
import ctypes
import http.server
import os
import pathlib
import socket
import subprocess
import sys
import threading

CLONE_NEWNET = 0x40000000
WAN = "10.10.0"
LAN = "10.20.0"
DEVICES_MAX = 150


class Node:
    """A machine of the test bed. `address` is the first of its `addresses`, which go by its interface's name."""

    def __init__(self, name, namespace):
        self.name = name
        self.namespace = namespace  #: path of its network namespace
        self.addresses = {}
        #: Put before a command, it runs in this node: for those who start programs in their own way.
        self.prefix = ["nsenter", f"--net={namespace}", "--"]

    def __repr__(self):
        return f"<{self.name} {' '.join(self.addresses.values())}>"

    @property
    def address(self):
        return next(iter(self.addresses.values()))

    def run(self, command, *, check=True, timeout=60, **options):
        """Runs a command to its end; returns its subprocess.CompletedProcess, with its output as text."""
        done = self.call(subprocess.run, list(map(str, command)), capture_output=True, text=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{command} on {self.name} failed with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def popen(self, command, **options):
        """Starts a command; its process is that of the command itself. The site's end kills it."""
        return self.call(subprocess.Popen, list(map(str, command)), **options)

    def call(self, function, *arguments, **named):
        """Calls a function of this process with the node's network; returns or raises what it does.

        It runs in a thread of its own. Sockets that it makes belong to the node for ever, in whatever thread they are used;
        threads and processes that it starts belong to the node too.
        """
        result = []

        def body():
            try:
                enter(self.namespace)
                result.append((True, function(*arguments, **named)))
            except BaseException as error:  # Goes to the caller, whatever it is.
                result.append((False, error))

        thread = threading.Thread(target=body, name=self.name)
        thread.start()
        thread.join()
        good, value = result[0]
        if not good:
            raise value
        return value

    def listen(self, port=0):
        """A listening TCP socket at `address`; port 0 is a free one."""
        return self.call(socket.create_server, (self.address, port))

    def reaches(self, address, port):
        """Whether a ping and an HTTP request by curl get an answer: (ping's, curl's)."""
        ping = self.run(["ping", "-n", "-c", "1", "-W", "1", address], check=False)
        curl = self.run(["curl", "--silent", "--show-error", "--noproxy", "*", "--connect-timeout", "1", "--max-time", "5",
                         f"http://{address}:{port}/"], check=False)
        return ping.returncode == 0, curl.returncode == 0


def enter(namespace):
    """Puts the calling thread into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


class Site:
    """`cloud`, `gateway`, `devices` in the site, and `direct` devices in the cloud's network."""

    def __init__(self, *, devices=2, direct=0):
        if os.geteuid() != 0:
            raise PermissionError("network namespaces need root")
        if not (0 <= devices <= DEVICES_MAX and 0 <= direct <= DEVICES_MAX):
            raise ValueError(f"at most {DEVICES_MAX} devices of each kind")
        # A session of its own, so that Ctrl-C on the terminal or a kill of the whole group spares it.
        self._keeper = subprocess.Popen([sys.executable, "-I", str(pathlib.Path(__file__).with_name("keeper.py"))],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            self.cloud = self._node("cloud")
            self.gateway = self._node("gateway")
            self.devices = [self._node(f"device-{number}") for number in range(1, devices + 1)]
            self.direct = [self._node(f"direct-{number}") for number in range(1, direct + 1)]
            self._wire("wan", [(self.cloud, f"{WAN}.1"), (self.gateway, f"{WAN}.2"),
                               *((node, f"{WAN}.{100 + n}") for n, node in enumerate(self.direct, 1))])
            self._wire("lan", [(self.gateway, f"{LAN}.1"),
                               *((node, f"{LAN}.{100 + n}") for n, node in enumerate(self.devices, 1))])
            self.gateway.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Kills what still runs in the nodes, and removes them. May be called again."""
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.close()
        status = self._keeper.wait(timeout=30)
        self._keeper.stdout.close()
        if status != 0:
            raise RuntimeError(f"the keeper of the namespaces ended with {status}")

    def nodes(self):
        return [self.cloud, self.gateway, *self.devices, *self.direct]

    def _node(self, name):
        self._keeper.stdin.write("new\n")
        self._keeper.stdin.flush()
        descriptor = self._keeper.stdout.readline().strip()
        if not descriptor:
            raise RuntimeError("the keeper of the namespaces has ended")
        node = Node(name, f"/proc/{self._keeper.pid}/fd/{descriptor}")
        self._ip(node, ["link set lo up"])
        return node

    def _wire(self, interface, members):
        """Connects nodes to a switch of their own, each by an interface with this name."""
        switch = self._node(f"{interface}-switch")
        lines = ["link add switch type bridge", "link set switch addrgenmode none", "link set switch up"]
        for port, (node, _) in enumerate(members):
            lines += [f"link add port{port} type veth peer name {interface} netns {node.namespace}",
                      f"link set port{port} addrgenmode none", f"link set port{port} master switch up"]
        self._ip(switch, lines)
        for node, address in members:
            # Without an IPv6 address, so that there is one way and no other.
            self._ip(node, [f"link set {interface} addrgenmode none", f"address add {address}/24 dev {interface}",
                            f"link set {interface} up"])
            node.addresses[interface] = address

    @staticmethod
    def _ip(node, lines):
        node.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def prove_isolation(self):
        """Shows by ping and by HTTP who reaches the cloud: the gateway and direct devices do, devices of the site do not,
        also when they take the gateway for their router. Returns (what was tried, whether it got through) of each attempt;
        raises AssertionError when one had the wrong result."""
        with self._web_server(self.cloud) as cloud_port, self._web_server(self.gateway, f"{LAN}.1") as gateway_port:
            cloud = self.cloud.address, cloud_port
            attempts = [self._attempt(node, *cloud, expected=True) for node in (self.gateway, *self.direct)]
            for device in self.devices:
                # The device's own network works: it is the way to the cloud that is missing.
                attempts += [self._attempt(device, f"{LAN}.1", gateway_port, expected=True),
                             self._attempt(device, *cloud, expected=False)]
                self._ip(device, [f"route add default via {LAN}.1"])
                try:
                    attempts += [self._attempt(device, *cloud, expected=False, note=", with the gateway for its router")]
                finally:
                    self._ip(device, ["route del default"])
        return [attempt for pair in attempts for attempt in pair]

    @staticmethod
    def _attempt(node, address, port, *, expected, note=""):
        attempts = [(f"{way} from {node.name} to {address}{note}", got_through)
                    for way, got_through in zip(("ping", "curl"), node.reaches(address, port))]
        for what, got_through in attempts:
            if got_through != expected:
                raise AssertionError(f"{what} {'got through' if got_through else 'failed'}")
        return attempts

    @staticmethod
    @contextlib.contextmanager
    def _web_server(node, address=None):
        """A small HTTP server on a node; gives its port."""
        server = node.call(http.server.HTTPServer, (address or node.address, 0), QuietHandler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class QuietHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass
