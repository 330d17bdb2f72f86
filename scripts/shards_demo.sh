# The tour of scripts/shards.sh; sourced by it.
. "$root/scripts/tour.sh"

dir=${dir:-$build/shards}
data=$build/demo_data
sizes=(-c nvmkv.write_buffer_size=4MB -c nvmkv.nvm_size=32MB -c nvmkv.target_file_size=2MB -c shared_buffers=32MB
	-c max_prepared_transactions=20 -c max_wal_size=256MB)

writer=
# What shows how a backup is restored.
remove_copies() {
	[ ! -e "$dir.restored" ] || "$root/scripts/shards.sh" stop "$dir.restored" -m immediate >/dev/null 2>&1
	remove_reachable_dirs "$dir".restored/*/ "$dir.restored" "$dir.backup"
}
finish() {
	[ -z "$writer" ] || kill "$writer" 2>/dev/null
	remove_copies
	"$root/scripts/shards.sh" stop "$dir" >/dev/null 2>&1
	end_tour
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -e "$dir" ]; then
	[ -e "$dir/nvmkv_shards_demo" ] || die "$dir holds something else"
	"$root/scripts/shards.sh" stop "$dir" -m immediate >/dev/null 2>&1
	remove_reachable_dirs "$dir"/*/ "$dir"
fi
mkdir -p "$dir" && touch "$dir/nvmkv_shards_demo" || die "cannot write to $dir"
begin_tour

heading "Three shards and a coordinator"
tell "Four servers of PostgreSQL; on the coordinator each shard is a foreign server of postgres_fdw."
start_shown "$root/scripts/shards.sh" start "$dir" 3 "${sizes[@]}"
sql <<'SQL'
SELECT srvname, srvoptions FROM pg_foreign_server ORDER BY srvname;
SQL

heading "The data: Debian's package index"
get_packages

heading "Tables"
tell "Each is 8 partitions by hash of the package's name, on the shards in turn: a package and what it depends on are on one shard."
sql <<'SQL'
SELECT shards.create_table('package', $$name text COLLATE "C" NOT NULL, version text NOT NULL, version_key text COLLATE "C" NOT NULL,
	section text, priority text, architecture text, source text, installed_kb bigint, download_bytes bigint, maintainer text, summary text$$,
	primary_key => 'name', by => 'name', partitions => 8);
SELECT shards.create_table('dependency', $$package text COLLATE "C" NOT NULL, position int NOT NULL, kind text NOT NULL,
	target text COLLATE "C" NOT NULL, relation text, version text, alternative int$$,
	primary_key => 'package, position', by => 'package', partitions => 8);
SELECT shards.create_index('dependency', '(target)');
SQL
sql <<SQL
\\copy package FROM '$data/package.copy'
\\copy dependency FROM '$data/dependency.copy'
SQL
sql <<'SQL'
SELECT shards.everywhere('ANALYZE');
SELECT tableoid::regclass AS partition, (SELECT shard FROM shards.partitions WHERE partition = tableoid), count(*)
FROM package GROUP BY tableoid ORDER BY 1;
SQL

heading "What the shards do, and what the coordinator"
tell "Joins and groups of what is on one shard are done there, all shards at once; for others they send rows."
sql <<'SQL'
SET enable_partitionwise_aggregate = on;
SET enable_partitionwise_join = on;
EXPLAIN (COSTS OFF) SELECT package, count(*) FROM dependency WHERE kind = 'Depends' GROUP BY package ORDER BY 2 DESC LIMIT 3;
SELECT package, count(*) FROM dependency WHERE kind = 'Depends' GROUP BY package ORDER BY 2 DESC LIMIT 3;
SELECT p.section, count(*) AS dependencies, count(DISTINCT d.target) AS packages
FROM dependency d JOIN package p ON p.name = d.package
WHERE d.kind IN ('Depends', 'Pre-Depends')
GROUP BY p.section ORDER BY dependencies DESC LIMIT 5;
SELECT package, kind FROM dependency WHERE target = 'libpmem1' ORDER BY package;
EXPLAIN (COSTS OFF) SELECT * FROM package WHERE name = 'postgresql-15';
SQL

heading "Changes"
sql <<'SQL'
INSERT INTO package (name, version, version_key) VALUES ('postgresql-15', '0', '0') ON CONFLICT DO NOTHING;
CREATE TABLE seen AS SELECT name FROM package WHERE section = 'database';
UPDATE package SET priority = 'seen' FROM seen WHERE seen.name = package.name;   -- not done by the shards: rows by their identity
SELECT priority, count(*) FROM package WHERE section = 'database' GROUP BY priority;
SQL

heading "One shard more, while somebody writes"
writes=$data/shard_writes
: >"$writes"
for ((round = 1; round <= 20000; round++)); do
	printf 'UPDATE package SET download_bytes = %d WHERE name = (SELECT name FROM seen ORDER BY md5(name || %d) LIMIT 1);\n\\echo %d\n' $round $round $round
done >"$data/shard_writer.sql"
"$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -f "$data/shard_writer.sql" >"$writes" 2>"$data/shard_writer.log" &
writer=$!
"$root/scripts/shards.sh" add "$dir" "${sizes[@]}" 2>&1 | sed -u 's/^/    /'
sql <<'SQL'
CALL shards.move('package_0', 'shard4');
CALL shards.move('dependency_0', 'shard4');
SELECT * FROM shards.partitions WHERE shard = 'shard4';
SQL
before=$(wc -l <"$writes")
kill -0 "$writer" 2>/dev/null || die "the writer has been disturbed: $(cat "$data/shard_writer.log")"
kill "$writer"
wait "$writer" 2>/dev/null
writer=
tell "The writer has committed $before times meanwhile."
sql <<'SQL'
SELECT count(*) AS packages, count(*) FILTER (WHERE tableoid = 'package_0'::regclass) AS moved FROM package;
SQL
[ "$(answer "SELECT count(*) FROM package")" -eq "$(wc -l <"$data/package.copy")" ] || die "rows are missing, or there are too many"

heading "A backup of all at one moment"
tell "Copies of the four servers, and of their logs up to one restore point; then all of them again, somewhere else."
"$root/scripts/shards.sh" backup "$dir" "$dir.backup" || die "no backup"
kept=$(answer "SELECT count(*), sum(hashtext(p::text)::bigint) FROM package p")
answer "DELETE FROM package WHERE section = 'database'"
"$root/scripts/shards.sh" restore "$dir.restored" "$dir.backup" "${sizes[@]}" >/dev/null 2>&1 || die "the backup cannot be restored"
restored=$("$root/scripts/shards.sh" psql "$dir.restored" -X -q -A -t -c "SELECT count(*), sum(hashtext(p::text)::bigint) FROM package p")
tell "Before: $kept; restored: $restored"
[ "$kept" = "$restored" ] || die "the restored tables are others"
"$root/scripts/shards.sh" stop "$dir.restored" >/dev/null 2>&1
remove_copies

heading "A shard that is lost"
"$root/scripts/cluster.sh" stop "$dir/shard2" -m immediate >/dev/null 2>&1
tell "shard2 is gone.  What is on the others goes on; what needs it says so."
for name in $(answer "SELECT min(name) FROM package_0 UNION ALL SELECT min(name) FROM package_2"); do
	answer "SELECT name || ' ' || version FROM package WHERE name = '$name'"
done
"$bin/psql" -X -q -c "SELECT count(*) FROM package" 2>&1 | head -n 2
"$root/scripts/cluster.sh" start "$dir/shard2" "${sizes[@]}" >/dev/null 2>&1 || die "the shard does not start"
answer "SELECT count(*) || ' packages are there again' FROM package"

heading "Where to go from here"
"$root/scripts/shards.sh" stop "$dir" >/dev/null 2>&1
tell "The servers are stopped; doc/scaling.md tells more.  To look around:

    eval \"\$(scripts/shards.sh start ${dir#"$root"/} 4)\"
    scripts/shards.sh psql ${dir#"$root"/}
    scripts/shards.sh stop ${dir#"$root"/}

(took $((SECONDS / 60)) min $((SECONDS % 60)) s)"
