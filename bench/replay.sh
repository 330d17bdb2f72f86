#!/bin/bash
# Does replay keep up? The rows of the insert benchmark (bench/insert.sh) are written on a primary, in a heap table and in a foreign
# table of nvmkv_fdw turn and turn about, and a standby on the same machine replays them.
#
#   bench/replay.sh [-n rows] [-b batch] [-i indexes] [-c sessions] [-m megabytes] [-o file.csv]
#
# Defaults: 1000000 rows in batches (transactions) of 1000, 3 indexes, one session, commits not synced. -m: memory that the settings of each
# server are for (1024). While a tenth is written the standby receives the log and does not replay it; then it replays, and the
# primary has nothing to do: so each has the machine for itself. Prints the seconds of both for each tenth, the log's bytes, and how
# long replay waited for room in the engine; -o gets the same. In the end the standby must answer as the primary does.
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
. "$(dirname "${BASH_SOURCE[0]}")/insert_rows.sh"

rows=1000000
batch=1000
indexes=3
sessions=1
megabytes=1024
csv=
parse_options "-n rows number" "-b batch number" "-i indexes number" "-c sessions number" "-m megabytes number" "-o csv text" -- "$@"
[ "$indexes" -le 3 ] || die "there are 3 indexes at most"
[ "$rows" -ge $((batch * 10 * sessions)) ] || die "$rows rows are not ten batches of $batch for each session"
[ -z "$csv" ] || : >"$csv" || die "cannot write $csv"

standby=""
at_exit() {
	[ -z "$standby" ] || "$root/scripts/cluster.sh" stop "$standby" >/dev/null 2>&1
	stop_server
}

# As bench/insert.sh has them, for both servers.
settings=(shared_buffers="$((megabytes / 4))MB" max_wal_size=2GB checkpoint_timeout=5min jit=off synchronous_commit=off wal_keep_size=16GB
	hot_standby_feedback=on nvmkv.write_buffer_size="$((megabytes / 32))MB" nvmkv.nvm_size="$((megabytes / 2))MB")
start_server bench_replay "${settings[@]}"
say "$rows rows in batches of $batch, $indexes indexes, $sessions sessions; $(nproc) processors; ${settings[*]}"
make_tables "$indexes"

# A server of its own directory and socket, made of a base backup.
start_standby() {
	local one given=()
	for one in "${settings[@]}"; do
		given+=(-c "$one")
	done
	standby=$work/standby
	as_server "$bin/pg_basebackup" -h "$PGHOST" -p "$PGPORT" -U postgres -c fast -R -D "$(readlink -f "$work")/copy" || die "no base backup"
	mv "$(readlink -f "$work")/copy" "$standby"
	rm -f "$standby/nvmkv_cluster.conf" "$standby"/postmaster.*
	standby_connection=$("$root/scripts/cluster.sh" start "$standby" "${given[@]}" 2>"$work/standby.log") || {
		cat "$work/standby.log" >&2
		die "the standby does not start"
	}
}
on_standby() { (eval "$standby_connection" && query "$@"); }
await_standby() { # CONDITION
	local deadline=$((SECONDS + 3600))
	until [ "$(on_standby -c "SELECT $1")" = t ]; do
		[ $SECONDS -lt $deadline ] || die "the standby does not come to this: $1"
		sleep 0.05
	done
}
now() { date +%s.%N; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.2f", to - from }'; }
waits() { on_standby -c "SELECT (stall_time_memtables + stall_time_extents + delay_time_memtables + delay_time_extents + delay_time_debt) / 1000 FROM nvmkv.stat_engine"; }

make_server_dir "$work"
start_standby
batches=$((rows / batch / sessions / 10 * 10))
for ((tenth = 0; tenth < 10; tenth++)); do
	tables=(heap nvmkv)
	[ $((tenth % 2)) -eq 0 ] || tables=(nvmkv heap)
	for table in "${tables[@]}"; do
		query -c CHECKPOINT
		on_standby -c CHECKPOINT -c "SELECT pg_wal_replay_pause()" >/dev/null
		await_standby "pg_get_wal_replay_pause_state() = 'paused'"
		from=$(query -c "SELECT pg_current_wal_insert_lsn()")
		began=$(now)
		writers=()
		for ((i = 0; i < sessions; i++)); do
			query -c "CALL fill('$table', $((batches * i + batches * tenth / 10)), $((batches * i + batches * (tenth + 1) / 10 - 1)), $batch)" &
			writers+=($!)
		done
		for i in "${writers[@]}"; do
			wait "$i" || die "a writer failed"
		done
		wrote=$(since "$began")
		# What was committed without a sync comes to the standby, too.
		upto=$(query -c "SELECT pg_current_wal_insert_lsn()")
		await_standby "pg_last_wal_receive_lsn() >= '$upto'"
		waited=$(waits)
		began=$(now)
		on_standby -c "SELECT pg_wal_replay_resume()" >/dev/null
		await_standby "pg_last_wal_replay_lsn() >= '$upto'"
		printf '%s,%d,%s,%s,%s,%s\n' "$table" "$tenth" "$wrote" "$(since "$began")" "$(query -c "SELECT pg_wal_lsn_diff('$upto', '$from')")" \
			"$(waits | awk -v before="$waited" '{ printf "%.2f", $1 - before }')" >>"$results"
	done
done
[ -z "$csv" ] || { echo "tab,tenth,written,replayed,log,waited" && cat "$results"; } >"$csv"
awk -F, '{
	w[$1, $2] = $3; r[$1, $2] = $4; tw[$1] += $3; tr[$1] += $4; log_bytes[$1] += $5; waited[$1] += $6
}
END {
	printf "%8s %14s %14s %14s %14s\n", "tenth", "heap writes s", "replays s", "nvmkv writes s", "replays s"
	for (i = 0; i < 10; i++)
		printf "%8d %14.2f %14.2f %14.2f %14.2f\n", i + 1, w["heap", i], r["heap", i], w["nvmkv", i], r["nvmkv", i]
	printf "%8s %14.2f %14.2f %14.2f %14.2f\n", "all", tw["heap"], tr["heap"], tw["nvmkv"], tr["nvmkv"]
	for (t in tw)
		printf "%s: replay takes %.2f of the time, %.0f MB of log, %.1f s of it waiting for room in the engine\n", t, tr[t] / tw[t], log_bytes[t] / 1048576, waited[t]
}' "$results"

# Both have the same rows.
for table in heap nvmkv; do
	sums="SELECT count(*), sum(id), sum(hashtext(data)::bigint), sum(customer), sum(price) FROM (SELECT * FROM $table ORDER BY id) AS t"
	upto=$(query -c "SELECT pg_current_wal_lsn()")
	await_standby "pg_last_wal_replay_lsn() >= '$upto'"
	[ "$(query -c "$sums")" = "$(on_standby -c "$sums")" ] || die "the standby's table $table is not the primary's"
done
