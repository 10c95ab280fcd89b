"""What a program written with python-etcd3 expects of a server: keys, transactions, watches, leases, locks.

usage: python_suite.py HOST PORT [CA_FILE]
Prints one line per check and ends with `N checks passed`; the first failure raises.
"""

import sys
import tempfile
import threading
import time

import etcd3

PASSED = 0


def check(name, condition):
    global PASSED
    if not condition:
        raise AssertionError(name)
    PASSED += 1
    print("ok", name)


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    tls = {"ca_cert": sys.argv[3]} if len(sys.argv) > 3 else {}
    client = etcd3.client(host=host, port=port, timeout=60, **tls)

    # keys and values, binary ones too
    client.put("py/a", "1")
    value, meta = client.get("py/a")
    check("get after put", value == b"1" and meta.version == 1 and meta.key == b"py/a")
    check("missing key", client.get("py/none") == (None, None))
    client.put(b"py/\x00\xff", b"\x00\x01\xff")
    check("binary", client.get(b"py/\x00\xff")[0] == b"\x00\x01\xff")
    check("previous value", client.put("py/a", "2", prev_kv=True).prev_kv.value == b"1")
    for i in range(50):
        client.put("py/list/%03d" % i, str(i))
    found = list(client.get_prefix("py/list/"))
    check("prefix", [v for v, _ in found] == [str(i).encode() for i in range(50)])
    found = list(client.get_prefix("py/list/", sort_order="descend", sort_target="key"))
    check("sorted", found[0][1].key == b"py/list/049" and len(found) == 50)
    check("range", len(list(client.get_range("py/list/010", "py/list/020"))) == 10)
    check("keys only", all(v == b"" for v, _ in client.get_prefix("py/list/", keys_only=True)))
    check("large value", client.put("py/large", b"x" * 1000000) is not None)
    check("large value comes back", len(client.get("py/large")[0]) == 1000000)
    check("delete", client.delete("py/a") and not client.delete("py/a"))
    check("delete prefix", client.delete_prefix("py/list/").deleted == 50)
    check("replace", client.put("py/r", "old") is not None and client.replace("py/r", "old", "new"))
    check("replace refused", not client.replace("py/r", "old", "newer"))
    check("put if not exists", client.put_if_not_exists("py/n", "1"))
    check("put if not exists refused", not client.put_if_not_exists("py/n", "2"))

    # transactions
    t = client.transactions
    done, answers = client.transaction(
        compare=[t.value("py/r") == "new", t.version("py/r") > 0, t.create("py/none") == 0],
        success=[t.put("py/t", "yes"), t.get("py/r")],
        failure=[t.put("py/t", "no")],
    )
    check("txn succeeds", done and answers[1][0][0] == b"new" and client.get("py/t")[0] == b"yes")
    done, _ = client.transaction(
        compare=[t.mod("py/r") < 1], success=[], failure=[t.delete("py/t"), t.put("py/u", "no")]
    )
    check("txn fails", not done and client.get("py/t")[0] is None and client.get("py/u")[0] == b"no")

    # watches: one key, a prefix, from the past
    events = []
    arrived = threading.Event()

    def on_event(response):
        events.extend(response.events)
        if len(events) >= 3:
            arrived.set()

    watch = client.add_watch_callback("py/w", on_event)
    client.put("py/w", "1")
    client.put("py/w", "2")
    client.delete("py/w")
    check("watch delivers", arrived.wait(60))
    client.cancel_watch(watch)
    kinds = [type(e).__name__ for e in events]
    check("watch order", kinds == ["PutEvent", "PutEvent", "DeleteEvent"])
    start = client.put("py/h/1", "x").header.revision
    client.put("py/h/2", "y")
    iterator, cancel = client.watch_prefix("py/h/", start_revision=start)
    check("history", [next(iterator).key for _ in range(2)] == [b"py/h/1", b"py/h/2"])
    cancel()

    # leases
    lease = client.lease(100)
    client.put("py/leased", "x", lease=lease)
    check("ttl", 0 < lease.remaining_ttl <= 100 and lease.granted_ttl == 100)
    check("lease keys", list(lease.keys) == [b"py/leased"])
    check("refresh", lease.refresh()[0].TTL == 100)
    lease.revoke()
    check("revoke deletes", client.get("py/leased")[0] is None)
    brief = client.lease(5)
    client.put("py/brief", "x", lease=brief)
    deadline = time.time() + 60
    while client.get("py/brief")[0] is not None and time.time() < deadline:
        time.sleep(0.1)
    check("expiry deletes", client.get("py/brief")[0] is None)

    # locks are leases, transactions and watches together
    lock = client.lock("py", ttl=60)
    check("lock", lock.acquire(timeout=60) and lock.is_acquired())
    # (a second acquire would wait: there Debian's python3-etcd3 0.12 and its tenacity do not agree)
    check("lock is a leased key", client.get("/locks/py")[1].lease_id == lock.lease.id)
    check("unlock", lock.release() and not lock.is_acquired())

    # compaction, status, members, snapshot
    revision = client.put("py/c", "1").header.revision
    client.put("py/c", "2")
    client.compact(revision)
    check("status", client.status().version.count(".") == 2)
    members = list(client.members)
    check("members", len(members) == 1 and members[0].name == "m1")
    check("hash", client.hash() > 0)
    with tempfile.TemporaryFile() as file:
        client.snapshot(file)
        check("snapshot", file.tell() > 4096)
    client.defragment()
    client.close()
    print(PASSED, "checks passed")


if __name__ == "__main__":
    main()
