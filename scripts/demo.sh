#!/bin/bash
# A guided tour on real data: Debian's package index in foreign tables of nvmkv_fdw, this machine's installed
# packages in an ordinary table, questions that join both, the engine at work, and a server that is killed
# while it writes.
#
#   scripts/demo.sh [DIR]      DIR: where the demonstration's cluster is made (default build/demo)
#
# No server is left running.  The cluster stays; the last lines say how to go on with it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$root/scripts/tour.sh"

parse_options "words 0 1" -- "$@"
dir=${arguments[0]:-$build/demo}
cluster=$dir/cluster
data=$build/demo_data

begin_tour

writer=
finish() {
	[ -z "$writer" ] || kill "$writer" 2>/dev/null
	[ ! -e "$cluster/PG_VERSION" ] || "$root/scripts/cluster.sh" stop "$cluster" >/dev/null 2>&1
	end_tour
}
trap finish EXIT
trap 'exit 130' INT TERM

# Little memory and a small level 0, so that a few dozen megabytes already take every path data can take.
start_server() {
	start_shown "$root/scripts/cluster.sh" start "$cluster" -c nvmkv.write_buffer_size=2MB -c nvmkv.max_write_buffers=4 \
		-c nvmkv.nvm_size=32MB -c nvmkv.target_file_size=2MB -c max_wal_size=512MB
}

heading "A private server"
tell "Building what has changed, making a cluster, starting it.  The system's PostgreSQL is not touched."
if [ -e "$cluster/PG_VERSION" ]; then
	[ -e "$cluster/nvmkv_demo" ] || die "$cluster holds another cluster"
	"$root/scripts/cluster.sh" stop "$cluster" >/dev/null 2>&1
	remove_reachable_dirs "$cluster"
fi
mkdir -p "$dir" || exit 1
start_server
touch "$cluster/nvmkv_demo"
answer "SELECT version()"

heading "The data: Debian's package index"
get_packages

heading "Tables"
tell "package and dependency live in the engine, ordered by their primary keys; installed is a local heap table."
sql <<'SQL'
CREATE EXTENSION nvmkv_fdw;

CREATE FOREIGN TABLE package (
    name           text COLLATE "C" NOT NULL,
    version        text NOT NULL,
    version_key    text COLLATE "C" NOT NULL,   -- compares as Debian versions do
    section        text,
    priority       text,
    architecture   text,
    source         text,
    installed_kb   bigint,
    download_bytes bigint,
    maintainer     text,
    summary        text
) SERVER nvmkv OPTIONS (primary_key 'name');

CREATE FOREIGN TABLE dependency (
    package     text COLLATE "C" NOT NULL,
    position    int NOT NULL,
    kind        text NOT NULL,
    target      text COLLATE "C" NOT NULL,
    relation    text,
    version     text,
    alternative int
) SERVER nvmkv OPTIONS (primary_key 'package, position');

-- the same edges, ordered the other way round
CREATE FOREIGN TABLE reverse_dependency (
    target   text COLLATE "C" NOT NULL,
    package  text COLLATE "C" NOT NULL,
    position int NOT NULL,
    kind     text NOT NULL
) SERVER nvmkv OPTIONS (primary_key 'target, package, position');

CREATE TABLE installed (
    name         text COLLATE "C" PRIMARY KEY,
    version      text NOT NULL,
    version_key  text COLLATE "C" NOT NULL,
    installed_kb bigint
);
SQL

heading "Loading"
sql <<SQL
\\copy package FROM '$data/package.copy'
\\copy dependency FROM '$data/dependency.copy'
\\copy installed FROM '$data/installed.copy'
INSERT INTO reverse_dependency SELECT target, package, position, kind FROM dependency;
ANALYZE package, dependency, reverse_dependency, installed;
SQL
sql <<'SQL'
SELECT (SELECT count(*) FROM package) AS packages,
       (SELECT count(*) FROM dependency) AS dependencies,
       (SELECT count(*) FROM reverse_dependency) AS reversed,
       (SELECT count(*) FROM installed) AS installed;
SQL

heading "Which installed packages are outdated?"
tell "A join of the local table with the foreign one; versions compare as dpkg compares them."
sql <<'SQL'
SELECT i.name, i.version AS installed, p.version AS available
FROM installed i JOIN package p USING (name)
WHERE p.version_key > i.version_key
ORDER BY i.name LIMIT 10;

SELECT count(*) AS outdated, pg_size_pretty(sum(p.download_bytes)) AS to_download
FROM installed i JOIN package p USING (name)
WHERE p.version_key > i.version_key;

EXPLAIN (COSTS OFF)
SELECT p.version FROM installed i JOIN package p USING (name) WHERE i.name LIKE 'libp%';
SQL

heading "Which sections are depended on most?"
sql <<'SQL'
SELECT p.section, count(*) AS dependencies, count(DISTINCT d.target) AS packages
FROM dependency d JOIN package p ON p.name = d.target
WHERE d.kind IN ('Depends', 'Pre-Depends')
GROUP BY p.section ORDER BY dependencies DESC LIMIT 8;
SQL

heading "Who depends on libc6?"
tell "One range of the key in the reversed table: nothing else is read."
sql <<'SQL'
SELECT kind, count(*) FROM reverse_dependency WHERE target = 'libc6' GROUP BY kind ORDER BY kind;

EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
SELECT package FROM reverse_dependency WHERE target = 'libc6' AND package >= 'postgresql' AND package < 'postgresql~';
SQL
tell "Joined with what is installed here, the largest first:"
sql <<'SQL'
SELECT i.name, i.version, pg_size_pretty(i.installed_kb * 1024) AS size, p.section
FROM reverse_dependency r
     JOIN installed i ON i.name = r.package
     JOIN package p ON p.name = r.package
WHERE r.target = 'libc6' AND r.kind IN ('Depends', 'Pre-Depends')
GROUP BY i.name, i.version, i.installed_kb, p.section
ORDER BY i.installed_kb DESC LIMIT 8;
SQL

heading "Points, order and limits"
sql <<'SQL'
SELECT name, version, summary FROM package WHERE name = 'postgresql-15';
EXPLAIN (COSTS OFF) SELECT name, version, summary FROM package WHERE name = 'postgresql-15';

SELECT name, section FROM package WHERE name < 'm' ORDER BY name DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT name, section FROM package WHERE name < 'm' ORDER BY name DESC LIMIT 3;
SQL

heading "An update, and a delete that is taken back"
sql <<'SQL'
UPDATE package SET priority = 'demonstrated' WHERE section = 'database' AND name LIKE 'postgresql%';
SELECT priority, count(*) FROM package WHERE section = 'database' GROUP BY priority ORDER BY priority;

BEGIN;
DELETE FROM package WHERE name < 'm';
SELECT count(*) AS inside FROM package;
ROLLBACK;
SELECT count(*) AS after_rollback FROM package;
SQL

heading "The engine at work"
tell "Rounds of random updates push memtables into level 0 in NVM and columns of it into level 1."
packages=$(answer "SELECT count(*) FROM package")
answer "CREATE FOREIGN TABLE popularity (name text COLLATE \"C\" NOT NULL, downloads bigint NOT NULL, note text)
	SERVER nvmkv OPTIONS (primary_key 'name');
	INSERT INTO popularity SELECT name, 0, repeat('-', 200) FROM package"
for round in 1 2 3 4; do
	answer "UPDATE popularity SET downloads = downloads + 1, note = md5($round::text || name) || repeat('.', 200)
		WHERE random() < 0.4"
	printf 'round %d\n' "$round"
	"$bin/psql" -X -q -P pager=off -P footer=off -c "SELECT job, phase, keys_done, keys_total,
		pg_size_pretty(bytes_done) AS bytes_done, rows_in, files_in, files_out, finished - started AS took
		FROM nvmkv.progress ORDER BY started DESC LIMIT 4"
done
sql <<'SQL'
SELECT * FROM nvmkv.stat_matrix;
SELECT * FROM nvmkv.stat_levels;
SQL

heading "Killed while writing"
tell "A session moves counts in transactions over both kinds of table: each adds 1 to 300 rows of popularity"
tell "(foreign) and writes down in ledger (local) that it did.  Then every process of the server gets SIGKILL."
answer "CREATE TABLE ledger (round int PRIMARY KEY, rows_counted bigint NOT NULL);
	INSERT INTO ledger SELECT 0, sum(downloads) FROM popularity"
acknowledged=$data/acknowledged
: >"$acknowledged"
transaction='BEGIN;
WITH counted AS (
    UPDATE popularity SET downloads = downloads + 1
    WHERE name = ANY (ARRAY(SELECT name FROM installed ORDER BY md5(name || ROUND) LIMIT 300))
    RETURNING 1)
INSERT INTO ledger SELECT ROUND, count(*) FROM counted;
COMMIT;
\echo ROUND'
for ((round = 1; round <= 20000; round++)); do
	printf '%s\n' "${transaction//ROUND/$round}"
done >"$data/writer.sql"
"$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -f "$data/writer.sql" >"$acknowledged" 2>/dev/null &
writer=$!
# A hundred transactions, or what a slow disk has done of them.
soon=$((SECONDS + 15))
deadline=$((SECONDS + 300))
until [ "$(wc -l <"$acknowledged")" -ge $((SECONDS < soon ? 100 : 5)) ]; do
	kill -0 "$writer" 2>/dev/null && [ $SECONDS -lt $deadline ] || die "the writer does not get on; see $cluster/server.log"
	sleep 0.2
done
postmaster=$(head -n 1 "$cluster/postmaster.pid")
work_dir=$(readlink -f "$cluster")
victims=$(find /proc -maxdepth 2 -name cwd -lname "$work_dir" 2>/dev/null | cut -d / -f 3)
kill -KILL $victims
wait "$writer" 2>/dev/null
writer=
last=$(tail -n 1 "$acknowledged")
tell "Killed $(wc -w <<<"$victims") processes (postmaster $postmaster).  The session had been told of $last commits."

heading "Started again"
start_server
grep -aE 'redo (starts|done)|not properly shut down' "$cluster/server.log" | tail -n 3 | sed 's/^/    /'
sql <<'SQL'
SELECT (SELECT max(round) FROM ledger) AS last_round,
       (SELECT sum(rows_counted) FROM ledger) AS counted_in_ledger,
       (SELECT sum(downloads) FROM popularity) AS counted_in_popularity,
       (SELECT count(*) FROM popularity) AS rows_in_popularity;
SQL
survived=$(answer "SELECT max(round) FROM ledger")
[ "$survived" -ge "$last" ] || die "lost: $last commits were acknowledged, $survived survived"
[ "$(answer "SELECT (SELECT sum(rows_counted) FROM ledger) = sum(downloads), count(*) FROM popularity")" = "t|$packages" ] ||
	die "the sums differ, or rows are missing"
[ "$(answer "SELECT count(*) FROM package")" = "$packages" ] || die "rows are missing"
[ -z "$(answer "SELECT * FROM nvmkv.check()")" ] || die "the engine finds damage"
tell "Every acknowledged commit ($last) is there, half a transaction is nowhere, both kinds of table agree, and nvmkv.check()"
tell "has nothing to complain about."

heading "Where to go from here"
"$root/scripts/cluster.sh" stop "$cluster" >/dev/null 2>&1
tell "The server is stopped.  To look around:

    eval \"\$(scripts/cluster.sh start ${cluster#"$root"/})\"
    scripts/cluster.sh psql ${cluster#"$root"/}
    scripts/cluster.sh stop ${cluster#"$root"/}

(took $((SECONDS / 60)) min $((SECONDS % 60)) s)"
