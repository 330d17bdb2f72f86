#!/bin/bash
# The source of the system's PostgreSQL, from Debian's source package: fetched once (23 MB), for the scripts that need more of it
# than Debian installs.
#
#   scripts/postgres_source.sh
#
# Prints the directory it is in, below build/.  The version is that of the installed server; where it cannot be had any
# more, the newest one that can.  apt works with a list of sources and a cache of its own: the system's stay as they are.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_options -- "$@"
choose_places

cache=$build/postgres_source
apt=$cache/apt
package=postgresql-$pg_version

# The versions to try, the best one first: options of apt...
versions() {
	dpkg-query -W -f '${source:Version}\n' "$package" 2>/dev/null
	apt-cache "$@" showsrc --only-source "$package" 2>/dev/null | sed -n 's/^Version: //p' | sort -rVu
}

fetch() {
	local options version
	rm -rf "$cache"
	mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial "$apt/download" "$cache/source" || die "cannot write to $cache"
	debian_sources deb-src >"$apt/sources.list"
	[ -s "$apt/sources.list" ] || die "apt knows no source of Debian's packages; run apt-get update"
	options=(-q -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$apt"
		-o "Dir::State::Lists=$apt/lists" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$apt/cache"
		-o "APT::Sandbox::User=$(id -un)")
	if ! apt-get "${options[@]}" update >"$apt/log" 2>&1; then
		tail -n 20 "$apt/log" >&2
		die "apt-get update failed"
	fi
	for version in $(versions "${options[@]}"); do
		(cd "$apt/download" && apt-get "${options[@]}" source --download-only "$package=$version") >>"$apt/log" 2>&1 || continue
		say "source of PostgreSQL $version"
		tar -xf "$apt/download/${package}_${version%%-*}.orig.tar."* -C "$cache/source" --strip-components=1 ||
			die "cannot unpack the source"
		rm -rf "$apt"
		printf '%s' "$version" >"$cache/version"
		return
	done
	tail -n 20 "$apt/log" >&2
	die "cannot fetch the source of $package"
}

# One at a time.
exec 9>"$build/.source_lock" || die "cannot write to $build"
flock 9
[ -s "$cache/version" ] || fetch
printf '%s\n' "$cache/source"
