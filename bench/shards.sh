#!/bin/bash
# How the work of tables over several servers (scripts/shards.sh) grows with their number: 1, 2, 4 shards and a coordinator
# on this machine, each shard held to a part of a processor and to its own memory by control groups (as root).
#
#   bench/shards.sh [-s "shards ..."] [-p percent] [-m megabytes] [-d devices] [-t seconds] [-c clients] [-o file.csv]
#
# Defaults: 1, 2 and 4 shards, each 20 percent of a processor and 192 MB with its files' pages; 100000 devices with ten
# measurements each before anything is timed; 8 clients, 10 seconds.  The coordinator is not held: shards and coordinator
# together should stay below what the machine has.  The work, all of it through the coordinator:
#   insert   a hundred measurements of a device, which are on one shard
#   read     the newest measurement of a device
#   device   how many a device has, and their sum
#   all      groups of all measurements by device, the ten largest of them, by one client: all shards at once
# Prints for each the rate, and the processor time of the shards and of the coordinator for one.  Then what follows for up
# to 64 shards, by these times of the largest number measured: with one coordinator that has two processors, and where each server is a coordinator,
# too.  That takes for granted that the network is no limit, that the load is even, and that a shard does nothing else.
# -o gets rates, measured and calculated, for bench/plots.sh.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"

counts="1 2 4"
percent=20
megabytes=192
devices=100000
seconds=10
clients=8
csv=
parse_options "-s counts text" "-p percent number" "-m megabytes number" "-d devices number" "-t seconds number" "-c clients number" \
	"-o csv text" -- "$@"
for count in $counts; do
	[[ $count =~ ^[1-9][0-9]?$ ]] || wrong_usage "not a number of shards: $count"
done
choose_places

dir=
at_exit() {
	[ -z "$dir" ] || "$root/scripts/shards.sh" stop "$dir" -m immediate >/dev/null 2>&1
	remove_groups
}
trap at_exit EXIT
trap 'exit 130' INT TERM
work=$build/bench_shards
mkdir -p "$work" || die "cannot write to $work"
results=$work/results
: >"$results"

# What runs in a cluster from now on belongs to a group of its own: hold name [percent megabytes]
hold() {
	local pid
	make_group cpu "$1"
	make_group memory "$1"
	make_group cpuacct "$1"
	if [ $# -gt 1 ]; then
		limit_group cpu "$1" "$2"
		limit_group memory "$1" "$3"
	fi
	for pid in $(find /proc -maxdepth 2 -name cwd -lname "$(cd "$dir/$1" && pwd -P)" 2>/dev/null | cut -d / -f 3); do
		enter_group "$1" "$pid"
	done
}

# Processor time, microseconds: of the shards, of the coordinator
used() {
	local one sum=0
	for one in $(shards); do
		sum=$((sum + $(group_time "$one")))
	done
	printf '%s %s\n' "$sum" "$(group_time coordinator)"
}
shards() { (cd "$dir" && ls -d shard[0-9]* | sort -V); }

# measure workload clients; connections and plans are made before
measure() {
	local before after
	"$bin/pgbench" -n -c "$2" -j 1 -T 2 -D devices="$devices" -f "$work/$1.sql" >"$work/pgbench.out" 2>&1
	before=$(used)
	"$bin/pgbench" -n -c "$2" -j 1 -T "$seconds" -D devices="$devices" -f "$work/$1.sql" >"$work/pgbench.out" 2>&1 || {
		cat "$work/pgbench.out" >&2
		die "pgbench failed"
	}
	after=$(used)
	awk -v workload="$1" -v count="$count" -v before="$before" -v after="$after" '
		/^number of transactions actually processed:/ { n = $6 }
		/^tps = / { rate = $3 }
		END {
			split(before, b, " ")
			split(after, a, " ")
			printf "%s\t%d\t%.4f\t%.1f\t%.1f\n", workload, count, rate, (a[1] - b[1]) / n, (a[2] - b[2]) / n
		}' "$work/pgbench.out" | tee -a "$results" |
		awk -F '\t' '{ printf "%-8s %2d shards  %10.1f a second  %10.1f us of shards  %10.1f us of the coordinator\n", $1, $2, $3, $4, $5 }'
}

cat >"$work/insert.sql" <<'SQL'
\set device random(1, :devices)
INSERT INTO measurement SELECT :device, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 100 + g, random() FROM generate_series(1, 100) g;
SQL
cat >"$work/read.sql" <<'SQL'
\set device random(1, :devices)
SELECT value FROM measurement WHERE device = :device ORDER BY at DESC LIMIT 1;
SQL
cat >"$work/device.sql" <<'SQL'
\set device random(1, :devices)
SELECT count(*), sum(value) FROM measurement WHERE device = :device;
SQL
cat >"$work/all.sql" <<'SQL'
SELECT device, count(*), sum(value) FROM measurement GROUP BY device ORDER BY 3 DESC LIMIT 10;
SQL

say "shards: $counts, $percent % of a processor and $megabytes MB each; $devices devices; $clients clients; $(nproc) processors"
export PGOPTIONS="-c client_min_messages=warning"
for count in $counts; do
	dir=$work/$count
	"$root/scripts/shards.sh" stop "$dir" -m immediate >/dev/null 2>&1
	remove_reachable_dirs "$dir"/*/ "$dir"
	# The remote servers' estimates cost a round trip a statement, and change nothing here.
	connection=$("$root/scripts/shards.sh" start "$dir" "$count" -c "shared_buffers=$((megabytes / 4))MB" -c "nvmkv.nvm_size=$((megabytes / 2))MB" \
		-c "nvmkv.write_buffer_size=$((megabytes / 32))MB" -c synchronous_commit=off -c jit=off -c enable_partitionwise_aggregate=on 2>"$work/start.log") || {
		tail -n 20 "$work/start.log" >&2
		die "the shards do not start"
	}
	eval "$connection"
	for one in $(shards); do
		query -c "ALTER SERVER $one OPTIONS (SET use_remote_estimate 'false')"
	done
	query -c "SELECT shards.create_table('measurement', 'device int NOT NULL, at bigint NOT NULL, value double precision NOT NULL',
			primary_key => 'device, at', by => 'device', partitions => 16)" \
		-c "INSERT INTO measurement SELECT d, a, random() FROM generate_series(1, $devices) d, generate_series(1, 10) a" \
		-c "SELECT shards.everywhere('DO \$\$BEGIN PERFORM nvmkv.compact(); END\$\$')" -c "SELECT shards.everywhere('ANALYZE')" >/dev/null
	for one in $(shards); do
		hold "$one" "$percent" "$megabytes"
	done
	hold coordinator
	for workload in read device insert; do
		measure "$workload" "$clients"
	done
	measure all 1
	"$root/scripts/shards.sh" stop "$dir" >/dev/null 2>&1
	remove_groups
	dir=
done

# The groups of all devices: each shard has its part of the work, the coordinator something for each shard.
awk -F '\t' -v percent="$percent" -v csv="$csv" '
	$2 >= most { most = $2 }
	{ rate[$1, $2] = $3; of_shards[$1, $2] = $4; of_coordinator[$1, $2] = $5; counts[$2] }
	function smaller(a, b) { return a < b ? a : b }
	END {
		share = percent / 100 * 1e6
		n = split("read device insert", name, " ")
		print ""
		print "calculated, of a second:         one coordinator with 2 processors    each shard a coordinator, too"
		if (csv != "")
			print "work,shards,measured,one coordinator,each a coordinator" >csv
		for (i = 1; i <= n; i++) {
			w = name[i]
			a = of_shards[w, most]
			b = of_coordinator[w, most]
			for (s = 1; s <= 64; s *= 2) {
				one = smaller(s * share / a, 2e6 / b)
				each = s * share / (a + b)
				printf "%-8s %2d shards  %34.0f  %32.0f%s\n", w, s, one, each, (w, s) in rate ? sprintf("   measured, one: %.0f", rate[w, s]) : ""
				if (csv != "")
					printf "%s,%d,%s,%.1f,%.1f\n", w, s, (w, s) in rate ? sprintf("%.1f", rate[w, s]) : "", one, each >csv
			}
		}
		# The groups of all: each shard its part, the coordinator what is asked of each and what each answers.
		a = of_shards["all", most]
		b = of_coordinator["all", most]
		for (s = 1; s <= 64; s *= 2) {
			printf "%-8s %2d shards  %31.2f s  %32s%s\n", "all", s, a / (s * share) + b / 1e6, "", ("all", s) in rate ? sprintf("   measured: %.2f s", 1 / rate["all", s]) : ""
			if (csv != "")
				printf "all,%d,%s,%.4f,\n", s, ("all", s) in rate ? sprintf("%.4f", rate["all", s]) : "", 1 / (a / (s * share) + b / 1e6) >csv
		}
	}' "$results"
