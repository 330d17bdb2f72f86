# scripts/shards.sh: copies of all servers, and what they were at one restore point; sourced by it.
#
# A backup holds for each server NAME the copy NAME/data, the files of its log since then NAME/wal, and the restore point's
# name in "restore_point", which is written last.

# How a program reaches a server: conninfo NAME
conninfo() {
	sed -n "s/^port = \(.*\)/port=\1/p; s/^unix_socket_directories = \('.*'\)$/host=\1/p" "$dir/$1/nvmkv_cluster.conf" | paste -s -d ' '
	printf 'user=postgres dbname=postgres\n'
}

# The log is kept from before the copy until it has been fetched, by a slot.
slot=nvmkv_shards_backup
drop_slots() {
	local one
	for one in coordinator $(shards); do
		cluster psql "$dir/$one" -X -q -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '$slot'" >/dev/null 2>&1
	done
}

# A program of PostgreSQL for a server, with its messages in TO/NAME/log: run_for NAME TO program argument...
run_for() {
	local one=$1 to=$2 program=$3
	shift 3
	as_server "$bin/$program" -d "$(conninfo "$one")" "$@" >>"$to/$one/log" 2>&1 || {
		say "$program failed on $one: $(tail -n 1 "$to/$one/log")"
		return 1
	}
}

# backup TO
backup() {
	local to name one position end copies=() failed=
	choose_places
	[ ! -e "$1" ] || die "$1 exists"
	to=$(make_reachable_dir "$1") && to=$(cd "$to" && pwd -P) || exit 1
	name=backup_$(date -u +%Y%m%dT%H%M%SZ)
	drop_slots
	trap drop_slots EXIT
	trap 'exit 130' INT TERM
	for one in coordinator $(shards); do
		make_server_dir "$to/$one" "$to/$one/wal"
		on "$one" -c "SELECT pg_create_physical_replication_slot('$slot', true)" >/dev/null || exit 1
		run_for "$one" "$to" pg_basebackup -D "$to/$one/data" -c fast -X none &
		copies+=($!)
	done
	for one in "${copies[@]}"; do
		wait "$one" || failed=1
	done
	[ -z "$failed" ] || die "no backup was made"

	on coordinator -F ' ' -c "SELECT * FROM shards.restore_point('$name')" >"$to/positions" || exit 1
	while read -r one position; do
		# The file that the position is in has been ended: up to its last byte, so that it is complete.
		end=$(on "$one" -c "SELECT '0/0'::pg_lsn + (div('$position'::pg_lsn - '0/0', pg_size_bytes(current_setting('wal_segment_size'))) + 1)
			* pg_size_bytes(current_setting('wal_segment_size')) - 1") || exit 1
		run_for "$one" "$to" pg_receivewal -D "$to/$one/wal" -S "$slot" --endpos="$end" || die "no backup was made"
	done <"$to/positions"
	echo "$name" >"$to/restore_point" || exit 1
	echo "$name"
}

# restore FROM
restore() {
	local from to name one given=("${settings[@]}")
	choose_places
	name=$(cat "$1/restore_point" 2>/dev/null) || die "$1 holds no whole backup"
	from=$(cd "$1" && pwd -P)
	[ ! -e "$dir" ] || die "$dir exists"
	for one in $(cut -d ' ' -f 1 "$from/positions"); do
		to=$(make_reachable_dir "$dir/$one") && to=$(cd "$to" && pwd -P) || exit 1
		as_server cp -a "$from/$one/data/." "$to" && as_server touch "$to/recovery.signal" || die "cannot copy $from/$one/data"
		rm -f "$to"/.s.PGSQL.*.lock # of the server that was copied
		settings=("${given[@]}" "restore_command=cp \"$from/$one/wal/%f\" \"%p\"" "recovery_target_name=$name" recovery_target_action=promote)
		start_one "$one"
	done
	introduce
	cluster start "$dir/coordinator" 2>/dev/null
}
