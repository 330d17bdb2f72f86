#!/bin/bash
# Is there a value for everything that monitoring/ shows and alerts on?  A server under load, Debian's
# prometheus-postgres-exporter with monitoring/queries.yaml, and Debian's Prometheus with monitoring/alerts.yml.
#
#   scripts/monitoring_tests.sh [-t SECONDS] [-p FILE]
#
#   -t SECONDS   how long the load lasts (60)
#   -p FILE      where the picture of the dashboard goes (none is kept)
#
# Every metric that panels and alerts name is one that the queries make, and has a value; every panel has data; the rules are
# valid and pass their tests, monitoring/alerts_test.yml; and alerts that can be provoked are raised: by writers that are too
# fast, a table that is not analyzed, a copy that is given up, a file that is missing, a directory that is missing.
#
# The programs are taken out of Debian's packages, not installed, into build/monitoring_tools; those that are installed are used
# as they are.  Nothing is left running.  Results and logs are in build/monitoring; the last line is "N passed, N failed".
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

seconds=60
picture=""
parse_options "-t seconds number" "-p picture text" -- "$@"
cd "$root" || exit 1
tools=$build/monitoring_tools
passed=0
failed=0
pids=()

command -v curl >/dev/null || die "curl is missing"
command -v gnuplot >/dev/null || die "gnuplot is missing: install the package gnuplot-nox"

# The program of a package, installed or taken out of it: tool NAME PACKAGE
tool() {
	local path
	path=$(command -v "$1" 2>/dev/null) && printf '%s\n' "$path" && return
	if [ ! -x "$tools/usr/bin/$1" ]; then
		mkdir -p "$tools" || die "cannot write to $tools"
		(cd "$tools" && apt-get -q download "$2" && dpkg-deb -x "$2"_*.deb .) >"$tools/$2.log" 2>&1 || {
			tail -n 3 "$tools/$2.log" >&2
			die "the package $2 cannot be had"
		}
	fi
	printf '%s\n' "$tools/usr/bin/$1"
}

at_exit() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null
	wait
	stop_server
}

# Counts answers of test/monitoring/ask.pl; shows those that are bad.
questions() {
	perl test/monitoring/ask.pl "$@" >"$work/answers" 2>&1 || [ -s "$work/answers" ] || echo "not ok - no answer" >"$work/answers"
	cat "$work/answers" >>"$work/all_answers"
	grep -v '^ok' "$work/answers"
	passed=$((passed + $(grep -c '^ok' "$work/answers")))
	failed=$((failed + $(grep -vc '^ok' "$work/answers")))
}

# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok - %s\n' "$name"
		head -n 20 "$work/out"
	fi
}

free_port() {
	local port=$1
	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		port=$((port + 1))
	done
	printf '%s\n' "$port"
}

# Waits until a query to Prometheus has a result: await QUERY
await() {
	local deadline=$((SECONDS + 120))
	until curl -sf --data-urlencode "query=$1" "$url/api/v1/query" | grep -q '"value"'; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.5
	done
}

restart_server() {
	"$root/scripts/cluster.sh" start "$cluster" "${settings[@]}" >/dev/null 2>>"$work/start.log" || die "the server does not start again"
}

exporter=$(tool prometheus-postgres-exporter prometheus-postgres-exporter) || exit 1
prometheus=$(tool prometheus prometheus) || exit 1
promtool=$(tool promtool prometheus) || exit 1

# A container of 16 MB and memtables of 1 MB are too small for the load: that is what alerts are for.
wanted=(autovacuum=off synchronous_commit=off max_wal_size=4GB nvmkv.write_buffer_size=1MB nvmkv.max_write_buffers=2 nvmkv.nvm_size=16MB
	nvmkv.target_file_size=1MB nvmkv.block_cache_size=4MB nvmkv.value_threshold=512)
start_server monitoring "${wanted[@]}"
settings=()
for setting in "${wanted[@]}"; do
	settings+=(-c "$setting")
done
check "rules are valid" "$promtool" check rules monitoring/alerts.yml
check "rules pass their tests" "$promtool" test rules monitoring/alerts_test.yml
questions names monitoring/queries.yaml monitoring/dashboard.json monitoring/alerts.yml

query -c "CREATE EXTENSION nvmkv_fdw" -c "CREATE ROLE watcher LOGIN IN ROLE pg_monitor" \
	-c "CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, note text) USING nvmkv" -c "CREATE INDEX ON orders (customer)" \
	-c "CREATE TABLE letters (id bigserial PRIMARY KEY, body text) USING nvmkv" >/dev/null

# The rules as they are, but that they look at seconds where they look at minutes, and wait for nothing.
sed -E 's/\[[0-9]+m\]/[10s]/; /^ *for: /d' monitoring/alerts.yml >"$work/alerts.yml"
exporter_port=$(free_port 19187)
prometheus_port=$(free_port 19090)
url=http://127.0.0.1:$prometheus_port
cat >"$work/prometheus.yml" <<END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ $work/alerts.yml ]
scrape_configs:
  - job_name: postgres
    static_configs: [ { targets: [ "127.0.0.1:$exporter_port" ] } ]
END
DATA_SOURCE_NAME="host=$PGHOST port=$PGPORT user=watcher dbname=postgres sslmode=disable" "$exporter" \
	--extend.query-path="$root/monitoring/queries.yaml" --web.listen-address="127.0.0.1:$exporter_port" \
	--disable-default-metrics --disable-settings-metrics >"$work/exporter.log" 2>&1 &
pids+=($!)
"$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" --web.listen-address="127.0.0.1:$prometheus_port" \
	>"$work/prometheus.log" 2>&1 &
pids+=($!)
await nvmkv_engine_open || {
	tail -n 5 "$work/exporter.log" "$work/prometheus.log" >&2
	die "Prometheus has no metrics of the server"
}

# Writers, readers, a copy that takes too long.
cat >"$work/write.sql" <<'END'
\set n random(1, 1000000000)
INSERT INTO orders SELECT hashint8(:n + g), g % 1000, repeat(md5(g::text), 6) FROM generate_series(1, 3000) g ON CONFLICT DO NOTHING;
INSERT INTO letters (body) SELECT repeat(md5(g::text), 40) FROM generate_series(1, 100) g;
END
cat >"$work/read.sql" <<'END'
\set n random(-2000000000, 2000000000)
SELECT count(*) FROM (SELECT note FROM orders WHERE id > :n ORDER BY id LIMIT 100) s;
SELECT note FROM orders WHERE customer = abs(:n) % 1000 LIMIT 10;
DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE id > :n ORDER BY id LIMIT 5);
END
query -c "ALTER SYSTEM SET nvmkv.copy_space_limit = '1MB'" -c "SELECT pg_reload_conf()" >/dev/null
began=$SECONDS
"$bin/psql" -X -q -c "SELECT nvmkv.copy_start()" -c "SELECT pg_sleep($seconds)" >"$work/copy.log" 2>&1 &
copy=$!
"$bin/pgbench" -n -c 3 -T "$seconds" -f "$work/write.sql" >"$work/write.log" 2>&1 &
writers=$!
"$bin/pgbench" -n -c 1 -T "$seconds" -f "$work/read.sql" >"$work/read.log" 2>&1 &
readers=$!
wait "$writers" || die "the writers failed: see $work/write.log"
wait "$readers" || die "the readers failed: see $work/read.log"
wait "$copy"
query -c "ALTER SYSTEM RESET nvmkv.copy_space_limit" -c "SELECT pg_reload_conf()" >/dev/null
await 'nvmkv_tables_n_tup_ins{relname="letters"} > 0'

questions values "$url" monitoring/queries.yaml
questions panels "$url" monitoring/dashboard.json "$work" $((SECONDS - began))
check "a picture of it" gnuplot "$work/dashboard.gp"
[ -z "$picture" ] || cp "$work/dashboard.png" "$picture" || die "cannot write $picture"

# A file of a table that is missing, then the whole directory.
"$root/scripts/cluster.sh" stop "$cluster" 2>>"$work/start.log"
data=$(cd "$cluster" && pwd -P)
missing=$(find "$data/nvmkv" -name '0*.sst' | sort | tail -n 1)
mv "$missing" "$work/missing.sst" || die "there is no file that could be missing"
restart_server
await 'ALERTS{alertname="NvmkvDamage"}'
"$root/scripts/cluster.sh" stop "$cluster" 2>>"$work/start.log"
as_server mv "$data/nvmkv" "$data/elsewhere"
restart_server
await 'ALERTS{alertname="NvmkvNotAvailable"}'
questions fired "$url" NvmkvWritersStop NvmkvWritersSlowed NvmkvContainerNearlyFull NvmkvNotAnalyzed NvmkvCopyHoldsFiles NvmkvDamage \
	NvmkvNotAvailable

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
