# What benchmarks that need a server share; to be sourced by bash.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/server.sh"

at_exit() {
	stop_server
	stop_peer
	remove_groups
}
stop_peer() { :; } # bench/myrocks.sh has one

# ---- control groups of this script; they need root, or a directory that was handed over

# Where a controller's group is, of version 1 or 2: group_dir controller name
group_dir() {
	if [ -d "/sys/fs/cgroup/$1" ]; then
		printf '/sys/fs/cgroup/%s/nvmkv_bench_%s.%s\n' "$1" "$2" "$$"
	else
		printf '/sys/fs/cgroup/nvmkv_bench_%s.%s\n' "$2" "$$"
	fi
}

# make_group controller name
make_group() {
	local dir
	dir=$(group_dir "$1" "$2")
	if [ "${dir%/*}" = /sys/fs/cgroup ] && [ "$1" != cpuacct ] && ! grep -qw "$1" /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
		echo "+$1" >/sys/fs/cgroup/cgroup.subtree_control
	fi
	mkdir -p "$dir" || die "no control group can be made in ${dir%/*}"
}

# Percent of a processor, or megabytes, pages of files included: limit_group cpu|memory name value
limit_group() {
	local dir
	dir=$(group_dir "$1" "$2")
	case $1.${dir%/*} in
	cpu./sys/fs/cgroup) echo "$(($3 * 1000)) 100000" >"$dir/cpu.max" ;;
	cpu.*) echo $(($3 * $(cat "$dir/cpu.cfs_period_us") / 100)) >"$dir/cpu.cfs_quota_us" ;;
	memory./sys/fs/cgroup) echo $(($3 * 1048576)) >"$dir/memory.max" ;;
	memory.*) echo $(($3 * 1048576)) >"$dir/memory.limit_in_bytes" ;;
	esac || die "cannot limit $1"
}

# Into the groups of all controllers that have this name: enter_group name pid
enter_group() {
	local dir
	for dir in /sys/fs/cgroup/{,*/}"nvmkv_bench_$1.$$"; do
		[ ! -d "$dir" ] || echo "$2" >"$dir/cgroup.procs" 2>/dev/null || [ ! -d "/proc/$2" ] || die "process $2 cannot enter $dir"
	done
}

# Processor time of a group of cpuacct, microseconds: group_time name
group_time() {
	local dir
	dir=$(group_dir cpuacct "$1")
	if [ -e "$dir/cpuacct.usage" ]; then
		echo $(($(cat "$dir/cpuacct.usage") / 1000))
	else
		awk '$1 == "usage_usec" { print $2 }' "$dir/cpu.stat"
	fi
}

# What this script starts from now on shares so much memory: limit_memory name megabytes
limit_memory() {
	make_group memory "$1"
	limit_group memory "$1" "$2"
	enter_group "$1" $$
}

# Groups go when all that was started is gone.
remove_groups() {
	local dir
	for dir in /sys/fs/cgroup/{,*/}nvmkv_bench_*."$$"; do
		[ ! -d "$dir" ] || {
			echo $$ >"${dir%/*}/cgroup.procs"
			rmdir "$dir"
		}
	done
}
