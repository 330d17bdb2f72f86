#!/bin/bash
# A tree of another Debian release, to build and test in with the PostgreSQL of that release: made once, and kept.
#
#   scripts/debian_tree.sh RELEASE                  makes it (trixie, sid, ...), with the packages that the tests need
#   scripts/debian_tree.sh RELEASE -- COMMAND...    runs a command in it, as root there; the checkout is /src there
#   scripts/debian_tree.sh --fresh RELEASE -- COMMAND...    runs it in one with nothing but Debian's base, and forgets what it did
#   scripts/debian_tree.sh [--fresh] --remove RELEASE       removes it, so that it is made again, with today's packages
#
# RELEASE+OTHER is a tree of its own: of the first release, in which packages of the other can be installed that it does not
# have itself, as the PostgreSQL of an older one.
#
# Prints the directory it is in, below ${XDG_CACHE_HOME:-~/.cache}/nvmkv_fdw/trees; 3 GB.  It is made by mmdebstrap, which
# is installed if it is missing, from where this system has its own packages from, by apt's settings.  A command runs
# in namespaces of its own: nothing that it starts outlives it, and what it mounts is not seen outside.  What it builds in
# /src/build is in the tree, not in the checkout.  A fresh tree is a layer (overlayfs) on one of some 400 MB that is kept.
#
# Not root, one needs user namespaces: the package uidmap, ranges of ids in /etc/subuid and /etc/subgid, and a kernel that
# allows them (kernel.unprivileged_userns_clone=1 where there is that setting).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

remove=""
fresh=""
parse_options "--remove remove flag" "--fresh fresh flag" "words 1 any" -- "$@"
release=${arguments[0]}
command=("${arguments[@]:1}")
[[ $release =~ ^[a-z]+([+][a-z]+)?$ ]] || wrong_usage "no release of Debian: $release"
[ -z "$remove" ] || [ ${#command[@]} -eq 0 ] || wrong_usage "--remove takes no command"
[ -z "$fresh" ] || [[ $release != *+* ]] || wrong_usage "a fresh tree is of one release"
[ -z "$fresh" ] || [ -n "$remove" ] || [ ${#command[@]} -gt 0 ] || wrong_usage "--fresh wants a command: nothing is left of it"

trees=$(cache_dir)/trees || exit 1
name=$release${fresh:+.base}
tree=$trees/$name
log=$trees/$name.log
layer=""
[ -z "$fresh" ] || layer=$tree.layer

# Runs a command as root, in namespaces of its own that end with it.
as_tree_root() {
	local user=()
	[ "$EUID" -eq 0 ] || user=(--user --map-root-user --map-auto)
	unshare "${user[@]}" --mount --pid --ipc --fork --kill-child --propagation private -- "$@"
}

# What a tree is made from: the sources of this system, of another release.  One that is not released has neither updates
# nor security updates of its own.
list_sources() {
	debian_sources deb | awk -v release="$1" '{
		suite = NF - 1
		suffix = match($suite, /-.*/) ? substr($suite, RSTART) : ""
		if (suffix != "" && release == "sid")
			next
		$suite = release suffix
		print
	}' | sort -u
}

# mmdebstrap looks for nothing in this system's settings of apt but for a proxy.  A mirror may have stopped at a day in the
# past; what it has is signed all the same.
list_apt_settings() {
	apt-config dump --format '%F "%v";%n' | grep -iE '^Acquire::[a-z]+::Proxy[:a-z]* '
	echo 'Acquire::Check-Valid-Until "false";'
	echo 'APT::Install-Recommends "false";'
}

make_tree() {
	local new=$tree.new
	is_installed mmdebstrap || "$root/scripts/setup.sh" --tree-packages >&2 || exit 1
	list_sources "${release%+*}" >"$trees/$name.list"
	[ -s "$trees/$name.list" ] || die "apt knows no source of Debian's packages; run apt-get update"
	list_apt_settings >"$trees/$name.conf"
	say "making a tree of Debian $release in $tree; log: $log"
	as_tree_root rm -rf "$new" "$tree"
	as_tree_root mmdebstrap --mode=root --variant=apt --include=mount --dpkgopt=force-unsafe-io \
		--aptopt="$trees/$name.conf" "${release%+*}" "$new" - \
		<"$trees/$name.list" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		as_tree_root rm -rf "$new" "$trees/$name".{list,conf,lock}
		die "mmdebstrap failed: see $log"
	}
	rm -f "$trees/$name.list" "$trees/$name.conf"
	mv "$new" "$tree"
}

# Packages of the other release are taken only where the tree's own has none of the name.
add_other_release() {
	local other=${release#*+} preferences
	list_sources "$other" >"$trees/$name.list" || return
	preferences=$(printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n\n' "$other" "$other"-{security,updates})
	as_tree_root sh -c 'cat >"$1/etc/apt/sources.list.d/other.list" && printf "%s\n" "$2" >"$1/etc/apt/preferences.d/other"' \
		add "$tree" "$preferences" <"$trees/$name.list" && rm -f "$trees/$name.list"
}

# In the namespaces: the tree becomes the root, with the checkout and a build directory for it.
enter='
	tree=$1 root=$2 key=$3 layer=$4
	shift 4
	fail() { echo "debian_tree.sh: $*" >&2; exit 1; }
	mkdir -p "$root/build" "$tree/src" "$tree/var/lib/nvmkv_build/$key" &&
	cp -L /etc/resolv.conf /etc/hosts "$tree/etc/" &&
	if [ -n "$layer" ]; then
		mkdir -p "$layer/upper" "$layer/work" &&
		mount -t overlay overlay -o "lowerdir=$tree,upperdir=$layer/upper,workdir=$layer/work" "$tree"
	else
		mount --bind "$tree" "$tree"
	fi && cd "$tree" &&
	mount --rbind /dev dev && mount --rbind /sys sys && mount -t proc proc proc && mount -t tmpfs tmpfs dev/shm &&
	mount --bind "$root" src && mount --bind "var/lib/nvmkv_build/$key" src/build || fail "cannot mount what $tree needs"
	pivot_root . . && umount -l . && cd /src || fail "cannot enter $tree"
	"$@"
	exit $?
'

in_tree() {
	local setting settings=() rc
	[ -z "$layer" ] || as_tree_root rm -rf "$layer" || die "cannot remove $layer"
	for setting in CI ${!NVMKV_*} http_proxy https_proxy no_proxy; do
		[ -z "${!setting:-}" ] || settings+=("$setting=${!setting}")
	done
	as_tree_root bash -c "$enter" enter "$tree" "$root" "$(path_key "$root")" "$layer" \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" "${settings[@]}" "$@"
	rc=$?
	[ -z "$layer" ] || as_tree_root rm -rf "$layer"
	return $rc
}

as_tree_root true 2>/dev/null ||
	die "namespaces are refused: be root, or allow user namespaces (package uidmap, ranges in /etc/subuid and /etc/subgid)"
mkdir -p "$trees" || die "cannot write to $trees"

# One at a time: who runs a command has it to himself.
exec 9>"$trees/$name.lock" || die "cannot write to $trees"
flock -n 9 || { say "another run is in $tree: waiting" && flock 9; }
if [ -n "$remove" ]; then
	as_tree_root rm -rf "$tree" "$tree".{new,layer} "$log"
	exit
fi
[ -e "$tree/etc/os-release" ] || make_tree
[ -n "$fresh" ] || [ -e "$tree/.complete" ] || in_tree scripts/setup.sh --packages >>"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	die "the packages cannot be installed"
}
if [ ! -e "$tree/.complete" ] && [[ $release == *+* ]]; then
	add_other_release && in_tree apt-get -q update >>"$log" 2>&1 || die "packages of another release cannot be had: see $log"
fi
[ -n "$fresh" ] || [ -e "$tree/.complete" ] || as_tree_root touch "$tree/.complete"
if [ ${#command[@]} -eq 0 ]; then
	printf '%s\n' "$tree"
else
	in_tree "${command[@]}"
fi
