#!/bin/bash
# Is nothing lost, and everything right, when the primary of three servers under Patroni (scripts/ha.sh) goes away?
#
#   scripts/ha_tests.sh [-o FILE] [-r RATE] [asynchronous | synchronous]...
#
#   -o FILE   writes and reads in each second, with what happened, for bench/plots.sh
#   -r RATE   transactions of each of the four writers in a second (30)
#
# While test/ha/clients.py writes and reads, the primary is killed, alone and with its node, stands still (SIGSTOP of all there, until
# somebody else has taken over and a watchdog would reset the node), has its network cut and is switched over; each time the clock
# runs until a transaction is committed again, and the old primary comes back as a standby, by pg_rewind where it has what others
# have not. Then each node is primary once, with asynchronous replication, and one is made anew. The containers of the three differ: a small one, a larger one
# elsewhere, none.
#
# What is judged: replies that clients got (all are there with synchronous replication; else at most those are missing that the new
# primary had not received), heap tables that were changed in the same transactions, what readers of each node have seen throughout,
# nvmkv.check() of each. Both kinds of replication unless one is named; takes some ten minutes. Logs and what clients noted are in
# build/ha; the last line is "N passed, N failed".
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$root/scripts/points.sh"

csv=""
rate=30
parse_options "-o csv text" "-r rate number" "words 0 2" -- "$@"
modes=("${arguments[@]}")
[ ${#modes[@]} -gt 0 ] || modes=(asynchronous synchronous)
for mode in "${modes[@]}"; do
	[[ $mode =~ ^(a|)synchronous$ ]] || wrong_usage "unknown kind of replication: $mode"
done
[ -z "$csv" ] || : >>"$csv" || die "cannot write $csv"
nodes=(node1 node2 node3)
"$root/scripts/setup.sh" >/dev/null || exit 1
choose_places
work=$state/ha
clients=""

ha() { "$root/scripts/ha.sh" "$1" "$dir" "${@:2}"; }

exec 3>&1 # for what is no point
note() { printf '# %s: %s\n' "$what" "$*" >&3; }

clean_up() {
	[ -z "$clients" ] || kill "$clients" 2>/dev/null
	[ ! -e "$dir/net" ] || ha stop >>"$work/stop.log" 2>&1
}
trap clean_up EXIT
trap 'exit 130' INT TERM
dir=$work/none

on() { PGCONNECT_TIMEOUT=5 "$bin/psql" -X -q -A -t -h "$dir/$1" -p 5432 -U postgres -d postgres -c "$2" 2>&1; }

# The primary, of those that are asked: primary_of node...
primary_of() {
	local node
	for node in "$@"; do
		[ "$(on "$node" "SELECT pg_is_in_recovery()")" != f ] || printf '%s\n' "$node"
	done
}
others() { printf '%s\n' "${nodes[@]}" | grep -vx "$1"; }

# Waits for a condition: await SECONDS command...; says whether it came.
await() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.3
	done
}

# In place of this shell: to be called in one of its own.
start_clients() { cd / && exec "$root/scripts/ha.sh" client "$dir" /usr/bin/python3 "$dir/clients.py" "$@"; }
clients() { (start_clients "$@"); }
# Seconds from a moment until a transaction was acknowledged on a timeline that was not there before; nothing: none was.
answered_after() {
	awk -v from="$1" '$1 == "ack" {
		if ($4 < from)
			before = $5 > before ? $5 : before
		else if ($5 > before) {
			printf "%.1f\n", $4 - from
			exit
		}
	}' "$dir/record"
}
answered() { [ -n "$(answered_after "$1")" ]; }

# Is a node a standby, with all that the primary has now?
follows() {
	local upto
	upto=$(on "$2" "SELECT pg_current_wal_lsn()")
	[[ $upto =~ ^[0-9A-F]+/[0-9A-F]+$ ]] || {
		printf 'of %s: %s\n' "$2" "$upto"
		return
	}
	await 180 eval "[ \"\$(on $1 \"SELECT pg_last_wal_replay_lsn() >= '$upto' FROM pg_stat_wal_receiver WHERE status = 'streaming'\")\" = t ]" && echo yes
}
same() {
	on "$1" "SELECT count(*) FROM payment AS p FULL JOIN payment_heap AS h USING (writer, number)
		WHERE p.amount IS DISTINCT FROM h.amount"
}
rewinds() { cat "$dir"/node*/patroni.log | grep -c "pg_rewind exit code=$1"; }
bad_reads() { grep '^bad' "$dir/record" | head -n 5; }
judged() { clients judge "$dir/record"; }
# What must be printed last: all of it, or all that had been streamed.
nothing_missing() {
	local said
	said=$(judged)
	[ "$mode" != synchronous ] || grep -q ' lost 0 ' <<<"$said" || printf '%s\n' "$said"
	grep -q ' wrong 0$' <<<"$said" || printf '%s\n' "$said"
	note "$(tail -n 1 <<<"$said")"
}
mark() { printf 'event %s %s\n' "$(date +%s.%3N)" "$*" >>"$dir/record"; }

# Some of the primary, then it is as before with another one: disturb WHAT
disturb() {
	local kind=$1 old new began rewound
	what="$mode, $kind"
	old=$(primary_of "${nodes[@]}")
	rewound=$(rewinds 0)
	case $kind in
	crash | kill | freeze | cut) ha "$kind" "$old" ;;
	esac
	began=$(date +%s.%3N)
	mark "$kind"
	case $kind in
	cut)
		# Who is on its side of the cut goes on writing; it can be told that this was committed, or waits for a standby's answer.
		timeout 3 "$bin/psql" -X -q -h "$dir/$old" -p 5432 -U postgres -d postgres >>"$work/apart.log" 2>&1 \
			-c "INSERT INTO apart SELECT n, repeat('x', 500) FROM generate_series(1, 5000) AS n"
		;;
	switchover) ha ctl switchover --leader "$old" --force >>"$work/ctl.log" 2>&1 ;;
	esac
	is "can be written again" yes eval "await 120 answered $began && echo yes"
	note "written again after $(answered_after "$began") s"
	mark "written"
	new=$(primary_of $(others "$old"))
	is "somebody else is the primary" 1 eval "wc -w <<<'$new'"
	case $kind in
	kill) ha start >/dev/null ;;
	# Patroni 3.0 that goes on after another has the leader's key may take it back: what resets a node is in its way.
	freeze)
		ha kill "$old"
		ha start >/dev/null
		;;
	cut) ha join "$old" ;;
	esac
	is "the old one follows" yes follows "$old" "$new"
	[ "$kind" != cut ] || [ "$mode" = synchronous ] || is "by pg_rewind" yes eval "[ $(rewinds 0) -gt $rewound ] && echo yes"
	is "nothing is there that only the old one had" 0 on "$old" "SELECT count(*) FROM apart"
	is "nothing is missing" "" nothing_missing
	is "all that was read is right" "" bad_reads
	is "the old one's tables agree" 0 same "$old"
	is "and its engine is sound" "" on "$old" "SELECT * FROM nvmkv.check()"
	mark "back"
}

# Each is the primary once, with its container. (Of synchronous standbys only the one that is waited for may be.)
everybody() {
	local node old
	for node in "${nodes[@]}"; do
		what="$mode, $node"
		old=$(primary_of "${nodes[@]}")
		[ "$old" != "$node" ] || continue
		mark "to $node"
		is "is made the primary" yes eval "ha ctl switchover --leader $old --candidate $node --force >>'$work/ctl.log' 2>&1 &&
			await 60 eval '[ \"\$(primary_of $node)\" = $node ]' && echo yes"
		is "the former one follows" yes follows "$old" "$node"
		is "its tables agree" 0 same "$node"
		is "nothing is missing" "" nothing_missing
	done
}

# A standby that is made anew, with a container that is there already if it can be.
made_anew() {
	local node=node2
	[ "$(primary_of node2)" != node2 ] || node=node3
	what="$mode, $node made anew"
	is "a base backup over what was there" yes eval "ha ctl reinit nvmkv $node --force >>'$work/ctl.log' 2>&1 && echo yes"
	is "it follows" yes eval "await 120 eval '! [ \"\$(on $node \"SELECT 1\")\" = 1 ]'; follows $node $(primary_of "${nodes[@]}")"
}

run() {
	mode=$1
	what=$mode
	dir=$work/$mode
	[ ! -e "$dir/net" ] || ha stop >/dev/null 2>&1
	rm -rf "$dir"
	make_server_dir "$work" "$dir" && cp "$root/test/ha/clients.py" "$dir" || die "cannot write to $dir"
	local synchronous=false node
	[ "$mode" = asynchronous ] || synchronous=true
	ha start -p synchronous_mode="$synchronous" -c nvmkv.write_buffer_size=1MB -c nvmkv.target_file_size=1MB >"$dir/connection" || exit 1
	as_server touch "$dir/record"
	ha psql -q -c "CREATE TABLE apart (id int PRIMARY KEY, pad text) USING nvmkv" || exit 1
	start_clients run "$dir/record" 3600 "$rate" >"$dir/clients.log" 2>&1 &
	clients=$!
	is "clients work" yes eval "await 60 answered 0 && echo yes"
	mark "begin"
	sleep 5 # so that the picture has some of the time before
	for kind in crash kill freeze cut switchover; do
		disturb "$kind"
	done
	[ "$mode" = synchronous ] || everybody
	made_anew
	kill "$clients"
	wait "$clients"
	clients=""
	what="$mode, at the end"
	for node in "${nodes[@]}"; do
		is "tables of $node agree" 0 same "$node"
		is "its engine is sound" "" on "$node" "SELECT * FROM nvmkv.check()"
		is "it was read" yes eval "grep -q '^read $node .* standby' '$dir/record' && echo yes"
	done
	is "all that was read is right" "" bad_reads
	note "pg_rewind was called $(($(rewinds 0) + $(rewinds 1))) times, $(rewinds 1) of them in vain (Patroni had started the server just then)"
	is "nothing is missing" "" nothing_missing
	[ -z "$csv" ] || clients seconds "$dir/record" "$mode" >>"$work/seconds"
	is "it stops" "" ha stop
}

rm -f "$work/seconds"
for mode in "${modes[@]}"; do
	run "$mode"
done
[ -z "$csv" ] || { echo "mode,second,writes,reads,standby_reads,events" && cat "$work/seconds"; } >"$csv"
printf '%s passed, %s failed\n' $((count - failed)) "$failed"
[ "$failed" -eq 0 ]
