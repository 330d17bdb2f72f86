#!/usr/bin/python3
"""Clients of three servers of which one is the primary, and what they were told: writers, a reader of each server, and one who
notes what standbys have got.

    clients.py run FILE SECONDS [RATE]   until SIGTERM, but SECONDS at most; RATE: transactions of each writer in a second
    clients.py judge FILE                does the primary have what FILE says was acknowledged?
    clients.py seconds FILE MODE         CSV: what was acknowledged, and read, in each second

Each transaction does the same to nvmkv tables and to heap tables, so that these are equal in every snapshot; FILE gets a line for
each, what was answered and when:

    ack       WRITER NUMBER TIME TIMELINE BEFORE AFTER   committed; the log's position before COMMIT, and after it or "-"
    unknown   WRITER NUMBER TIME                         the connection was lost during COMMIT
    failed    WRITER NUMBER TIME                         before it
    read      NODE TIME ROLE                             a snapshot that is as it must be
    bad       NODE TIME WHAT                             one that is not
    streamed  NODE TIME TIMELINE POSITION                the standby has it on its disk
    primary   NODE TIME TIMELINE                         took a transaction of that timeline
"""
import os
import random
import select
import signal
import sys
import threading
import time

import psycopg2
import psycopg2.extensions

WRITERS = 4
ACCOUNTS = 1000
NODES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
PATIENCE = 3.0  # seconds that an answer may take: a server that stands still answers never

stopping = threading.Event()
local = threading.local()


class NoAnswer(Exception):
    pass


def wait_for_answer(connection):
    """libpq waits for ever on a server that stands still."""
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        left = local.until - time.monotonic()
        descriptors = [connection.fileno()]
        if state == psycopg2.extensions.POLL_READ:
            ready = left > 0 and select.select(descriptors, [], [], left)[0]
        else:
            ready = left > 0 and select.select([], descriptors, [], left)[1]
        if not ready:
            raise NoAnswer()


def ask(connection, statement, *values):
    local.until = time.monotonic() + PATIENCE
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone() if cursor.description else None


def connect(node, attributes="any"):
    local.until = time.monotonic() + PATIENCE
    return psycopg2.connect(host=node, port=5432, user="postgres", dbname="postgres", target_session_attrs=attributes)


def close(connection):
    if connection is not None:
        connection.close()


class Record:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()

    def line(self, *words):
        with self.lock:
            self.file.write(" ".join(str(word) for word in words) + "\n")


# What a server that goes away leads to; anything else is a mistake.
FAILURES = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.ReadOnlySqlTransaction, NoAnswer, OSError)


def write(record, writer, first, rate):
    """Moves money from account to account, one transaction after the other, wherever the primary is."""
    number = first
    where = 0
    connection = None
    due = time.monotonic()
    while not stopping.is_set():
        due = max(due + 1 / rate, time.monotonic() - 1)
        stopping.wait(max(0, due - time.monotonic()))
        if connection is None:
            try:
                connection = connect(NODES[where], "read-write")
            except FAILURES:
                where = (where + 1) % len(NODES)
                continue
        number += 1
        committing = False
        try:
            a, b = random.sample(range(1, ACCOUNTS + 1), 2)
            before, timeline = ask(connection, "SELECT * FROM pay(%s, %s, %s, %s, %s)", writer, number, min(a, b), max(a, b), random.randint(-50, 50))
            committing = True
            local.until = time.monotonic() + PATIENCE
            connection.commit()
            now = time.time()
        except FAILURES:
            record.line("unknown" if committing else "failed", writer, number, "%.3f" % time.time())
            close(connection)
            connection = None
            continue
        after = "-"
        try:
            after, = ask(connection, "SELECT pg_current_wal_insert_lsn()")
            connection.commit()
        except FAILURES:
            close(connection)
            connection = None
        record.line("ack", writer, number, "%.3f" % now, timeline, before, after)
    close(connection)


# Equal in both kinds of tables, and the same sum for ever; of payments the last ones of each writer are looked at.
SNAPSHOT = """
SELECT pg_is_in_recovery(),
    (SELECT count(*) FROM account AS a FULL JOIN account_heap AS h USING (id) WHERE a.balance IS DISTINCT FROM h.balance),
    (SELECT sum(balance) FROM account), (SELECT sum(balance) FROM account_heap),
    (SELECT array_agg((n.last, n.count, n.sum) IS NOT DISTINCT FROM (h.last, h.count, h.sum) ORDER BY w) FROM generate_series(1, %s) AS w
        CROSS JOIN LATERAL (SELECT max(number) AS last, count(*), sum(amount) FROM payment WHERE writer = w AND number > (%s)[w]) AS n
        CROSS JOIN LATERAL (SELECT max(number) AS last, count(*), sum(amount) FROM payment_heap WHERE writer = w AND number > (%s)[w]) AS h),
    (SELECT array_agg((SELECT coalesce(max(number), 0) FROM payment WHERE writer = w) ORDER BY w) FROM generate_series(1, %s) AS w)
"""


def read(record, node):
    """Looks at one server, whatever it is; what it has shown to a session it shows from then on."""
    connection = None
    floor = [0] * WRITERS
    last = [0] * WRITERS
    name = "node" + node.rsplit(".", 1)[1]
    while not stopping.is_set():
        stopping.wait(0.2)
        try:
            if connection is None:
                connection = connect(node)
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                last = [0] * WRITERS
            standby, differ, total, total_heap, same, newest = ask(connection, SNAPSHOT, WRITERS, floor, floor, WRITERS)
            connection.rollback()
        except psycopg2.extensions.TransactionRollbackError:  # a conflict with what is replayed
            connection.rollback()
            continue
        except FAILURES:
            close(connection)
            connection = None
            continue
        now = "%.3f" % time.time()
        wrong = []
        if differ != 0:
            wrong.append("%d accounts differ" % differ)
        if total != 0 or total_heap != 0:
            wrong.append("sums %s and %s" % (total, total_heap))
        if not all(same):
            wrong.append("payments differ")
        if any(new < old for new, old in zip(newest, last)):
            wrong.append("back in time: %s after %s" % (newest, last))
        last = newest
        floor = [max(0, number - 300) for number in newest]
        if wrong:
            record.line("bad", name, now, "; ".join(wrong))
        else:
            record.line("read", name, now, "standby" if standby else "primary")
    close(connection)


def watch(record):
    """What the standbys have, as the primary knows it."""
    connection = None
    where = 0
    while not stopping.is_set():
        stopping.wait(0.1)
        try:
            if connection is None:
                connection = connect(NODES[where], "read-write")
                connection.autocommit = True
            timeline, standbys = ask(connection, "SELECT timeline(), array_agg(application_name || ' ' || flush_lsn) FROM pg_stat_replication WHERE flush_lsn IS NOT NULL")
        except FAILURES:
            close(connection)
            connection = None
            where = (where + 1) % len(NODES)
            continue
        now = "%.3f" % time.time()
        record.line("primary", "node%d" % (where + 1), now, timeline)
        for standby in standbys or []:
            name, position = standby.split()
            record.line("streamed", name, now, timeline, position)
    close(connection)


TABLES = """
CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL, pad text) USING nvmkv;
CREATE TABLE account_heap (id int PRIMARY KEY, balance int NOT NULL) USING heap;
CREATE TABLE payment (writer int, number int, amount int NOT NULL, at timestamptz NOT NULL, pad text, PRIMARY KEY (writer, number)) USING nvmkv;
CREATE TABLE payment_heap (writer int, number int, amount int NOT NULL, PRIMARY KEY (writer, number)) USING heap;
CREATE INDEX ON payment (amount, at);
INSERT INTO account SELECT n, 0, repeat('x', 500) FROM generate_series(1, %(accounts)s) AS n;
INSERT INTO account_heap SELECT n, 0 FROM generate_series(1, %(accounts)s) AS n;
CREATE FUNCTION timeline() RETURNS int LANGUAGE sql AS $$
    SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int $$;
CREATE FUNCTION pay(by int, n int, a int, b int, money int, OUT log pg_lsn, OUT tl int) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account SET balance = balance - money, pad = repeat(md5(n::text), 10 + n %% 20) WHERE id = a;
    UPDATE account SET balance = balance + money WHERE id = b;
    UPDATE account_heap SET balance = balance - money WHERE id = a;
    UPDATE account_heap SET balance = balance + money WHERE id = b;
    INSERT INTO payment VALUES (by, n, money, clock_timestamp(), repeat(md5(n::text), n %% 30));
    INSERT INTO payment_heap VALUES (by, n, money);
    log := pg_current_wal_insert_lsn();
    tl := timeline();
END $$;
"""


def primary(until=60):
    """A connection to it, when there is one."""
    deadline = time.monotonic() + until
    while True:
        for node in NODES:
            try:
                return connect(node, "read-write")
            except FAILURES:
                pass
        if time.monotonic() > deadline:
            sys.exit("there is no primary")
        time.sleep(0.2)


def guarded(record, name, function, *arguments):
    try:
        function(record, *arguments)
    except Exception as error:
        record.line("bad", name, "%.3f" % time.time(), type(error).__name__, " ".join(str(error).split()))
        raise


def run(path, seconds, rate):
    connection = primary()
    there, = ask(connection, "SELECT to_regclass('account') IS NOT NULL")
    if not there:
        local.until = time.monotonic() + 60
        with connection.cursor() as cursor:
            cursor.execute(TABLES, {"accounts": ACCOUNTS})
        local.until = time.monotonic() + 60
        connection.commit()
    first, = ask(connection, "SELECT coalesce(max(number), 0) + 100000 FROM payment_heap")
    close(connection)
    record = Record(path)
    work = [("writer", write, writer, first, rate) for writer in range(1, WRITERS + 1)]
    work += [("reader", read, node) for node in NODES]
    work.append(("watcher", watch))
    threads = [threading.Thread(target=guarded, args=(record, *each)) for each in work]
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    for thread in threads:
        thread.start()
    stopping.wait(seconds)
    stopping.set()
    for thread in threads:
        thread.join()


def lines(path, *kinds):
    with open(path) as file:
        for line in file:
            words = line.split()
            if line.endswith("\n") and words[0] in kinds:  # the last one may be half written
                yield words


def position(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def judge(path):
    """Prints what is not as it must be, and the number of payments that asynchronous standbys had not got: those may be lost."""
    payments = list(lines(path, "ack", "failed"))  # before the tables are looked at
    connection = primary()
    local.until = time.monotonic() + 120
    with connection.cursor() as cursor:
        cursor.execute("SELECT writer, number FROM payment")
        there = set(cursor.fetchall())
        cursor.execute("SELECT timeline()")
        now, = cursor.fetchone()
        ends = {}
        if now > 1:
            cursor.execute("SELECT pg_read_file(format('pg_wal/%s.history', lpad(to_hex(timeline()), 8, '0')))")
            for line in cursor.fetchone()[0].splitlines():
                words = line.split()
                if words and not words[0].startswith("#"):
                    ends[int(words[0])] = position(words[1])
    taker = {int(timeline): node for _, node, _, timeline in lines(path, "primary")}
    streamed = {}
    for _, node, _, timeline, upto in lines(path, "streamed"):
        key = int(timeline), node
        streamed[key] = max(streamed.get(key, 0), position(upto))
    count = lost = wrong = 0
    for kind, *words in payments:
        payment = int(words[0]), int(words[1])
        if kind == "failed":
            if payment in there:
                wrong += 1
                print("payment %s was not committed, and is there" % (payment,))
            continue
        count += 1
        timeline = int(words[3])
        if payment in there:
            continue
        lost += 1
        end = ends.get(timeline)
        following = min([t for t in taker if t > timeline], default=None)
        had = streamed.get((timeline, taker[following]), 0) if following is not None else 0
        if words[5] == "-":
            allowed = end is not None and position(words[4]) >= min(end, had)
        else:
            allowed = end is not None and position(words[5]) > max(end, had)
        if not allowed:
            wrong += 1
            print("payment %s was acknowledged at %s of timeline %d, and is not there; the timeline ends at %s, streamed was %s" %
                  (payment, words[5], timeline, end, had))
    print("acknowledged %d lost %d wrong %d" % (count, lost, wrong))


def by_second(path, mode):
    start = None
    counts = {}
    for words in lines(path, "ack", "read"):
        at = float(words[3] if words[0] == "ack" else words[2])
        start = at if start is None else min(start, at)
        key = int(at), words[0] if words[0] == "ack" else words[3]
        counts[key] = counts.get(key, 0) + 1
    seconds = sorted({second for second, _ in counts})
    events = {}
    for _, at, *words in lines(path, "event"):
        events.setdefault(int(float(at)), []).append(" ".join(words))
    for second in range(seconds[0], seconds[-1] + 1):
        print("%s,%d,%d,%d,%d,%s" % (mode, second - seconds[0], counts.get((second, "ack"), 0), counts.get((second, "primary"), 0),
                                     counts.get((second, "standby"), 0), " + ".join(events.get(second, []))))


def main():
    psycopg2.extensions.set_wait_callback(wait_for_answer)
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "run":
        run(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else 50)
    elif command == "judge":
        judge(sys.argv[2])
    elif command == "seconds":
        by_second(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)


main()
