# What benchmarks that need a server share; to be sourced by bash.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# Ends all that the benchmark started.
end_bench() {
	stop_server
	stop_peer
	unlimit_memory
}
stop_peer() { :; } # bench/myrocks.sh has one

stop_server() { [ ! -e "$cluster/PG_VERSION" ] || "$root/scripts/cluster.sh" stop "$cluster" >/dev/null 2>&1; }

# Starts a server on a new cluster, and stops it at exit: start_server name setting...
# Files of the benchmark go to $work, which is empty; results, lines of words between tabs, to $results.
start_server() {
	local connection setting arguments=()
	work=$build/bench_$1
	cluster=$work/cluster
	results=$work/results
	shift
	trap end_bench EXIT
	trap 'exit 130' INT TERM
	stop_server
	[ ! -e "$cluster" ] || rm -rf "$(readlink -f "$cluster")" "$cluster"
	rm -rf "$work"
	mkdir -p "$work" || die "cannot make $work"
	for setting in "$@"; do
		arguments+=(-c "$setting")
	done
	connection=$("$root/scripts/cluster.sh" start "$cluster" "${arguments[@]}" 2>"$work/start.log") || {
		cat "$work/start.log" >&2
		die "the server does not start"
	}
	eval "$connection"
	choose_places
}

# What this script starts from now on shares so many megabytes, pages of files included; needs root, or a control group that
# was handed over: limit_memory name megabytes
limit_memory() {
	local group=$groups/nvmkv_bench_$1.$$ file=memory.max
	if [ "$groups" != /sys/fs/cgroup ]; then
		file=memory.limit_in_bytes
	elif ! grep -qw memory "$groups/cgroup.subtree_control" 2>/dev/null; then
		echo +memory >"$groups/cgroup.subtree_control"
	fi
	mkdir "$group" && echo $(($2 * 1048576)) >"$group/$file" && echo $$ >"$group/cgroup.procs" ||
		die "cannot limit memory: no control group can be made in $groups"
}

# Ends what limit_memory began, when all that was started is gone.
unlimit_memory() {
	local group
	for group in "$groups"/nvmkv_bench_*."$$"; do
		[ -d "$group" ] || continue
		echo $$ >"$groups/cgroup.procs"
		rmdir "$group"
	done
}
groups=/sys/fs/cgroup
[ ! -e "$groups/memory/memory.limit_in_bytes" ] || groups+=/memory

query() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@" || die "the server did not answer"; }
