#!/bin/bash
# The system's version of PostgreSQL with assertions, from Debian's source package: built once, and kept.
#
#   scripts/assert_server.sh
#
# Prints the path of its pg_config, by which scripts/check.sh takes it for its tests:
#
#   PG_CONFIG=$(scripts/assert_server.sh) scripts/check.sh regress isolation tap
#
# Beside --enable-cassert (which brings checks of memory contexts, memory overwritten when it is freed, and the setting
# debug_discard_caches), every plan is copied, written and read before it is executed.  One assertion is taken out: ANALYZE
# asks for the size of the indexes of foreign tables, which have no file; without assertions it hears that it is 0.  The
# packages that the build needs are installed as by scripts/setup.sh.  The first run takes some minutes of both cores; what it makes is below build/, or
# where the servers' user can reach it, and is made again when source or options change.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_options -- "$@"

# What of Debian's options matters here.
options=(--enable-cassert --enable-debug --enable-tap-tests --with-icu --with-lz4 --with-zstd --with-openssl --with-libxml
	--with-system-tzdata=/usr/share/zoneinfo "--with-extra-version= (assertions)"
	"CFLAGS=-O1 -g -fno-omit-frame-pointer"
	"CPPFLAGS=-DCOPY_PARSE_PLAN_TREES -DWRITE_READ_PARSE_PLAN_TREES -DRAW_EXPRESSION_COVERAGE_TEST")

without_file='/^RelationGetNumberOfBlocksInFork(/,/^}/ s/Assert(false);/return 0;/'

build_server() {
	local source=$1 work=$build/assert_server_objects log=$build/assert_server.log
	say "building PostgreSQL with assertions into $to; log: $log"
	rm -rf "$to" "$work"
	cp -a "$source" "$work" && mkdir -p "$to" || die "cannot write to $work and $to"
	sed -i "$without_file" "$work/src/backend/storage/buffer/bufmgr.c" || die "cannot change $work"
	! cmp -s "$source/src/backend/storage/buffer/bufmgr.c" "$work/src/backend/storage/buffer/bufmgr.c" ||
		die "RelationGetNumberOfBlocksInFork() is not what it was"
	(
		cd "$work" &&
			./configure --prefix="$to" "${options[@]}" &&
			make -s -j "$(nproc)" &&
			make -s install &&
			make -s -j "$(nproc)" -C contrib install
	) >"$log" 2>&1 </dev/null || {
		tail -n 20 "$log" >&2
		die "PostgreSQL does not build"
	}
	rm -rf "$work"
}

"$root/scripts/setup.sh" --server-packages >&2 || exit 1
choose_places
source=$("$root/scripts/postgres_source.sh") || exit 1

exec 9>"$build/.assert_server_lock" || die "cannot write to $build"
flock 9
to=$state/assert_server
stamp="$(cat "$source/../version") $(path_key "${options[*]}$without_file") with contrib"
if [ "$(cat "$to/.version" 2>/dev/null)" != "$stamp" ]; then
	build_server "$source"
	printf '%s' "$stamp" >"$to/.version"
fi
printf '%s\n' "$to/bin/pg_config"
