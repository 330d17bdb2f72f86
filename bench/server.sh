# What benchmarks that need a server share; to be sourced by bash.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/server.sh"

at_exit() {
	stop_server
	stop_peer
	unlimit_memory
}
stop_peer() { :; } # bench/myrocks.sh has one

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
