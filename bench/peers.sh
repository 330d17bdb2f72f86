#!/bin/bash
# Release builds of LevelDB and RocksDB for the engine benchmark, from Debian's source packages.
#
#   bench/peers.sh [-j jobs]
#
# Debian's own binaries are not what these engines can do: they are built for any processor of the architecture, with
# checksums in software, and with assertions.  So both are built here with -O3 -DNDEBUG for this
# processor, as static libraries, into ${XDG_CACHE_HOME:-$HOME/.cache}/nvmkv_fdw/peers, once; RocksDB takes a
# quarter of an hour on two cores.  Prints that directory.  What is missing is installed first (needs root);
# sources come from "apt-get source", for which no root is needed.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

jobs=$(nproc)
parse_options "-j jobs number" -- "$@"

peers=${XDG_CACHE_HOME:-${HOME:?}/.cache}/nvmkv_fdw/peers
[ "$(uname -m)" = x86_64 ] || die "the peers are built with the instructions of x86-64"

missing=()
for package in cmake g++ dpkg-dev liblz4-dev libzstd-dev libsnappy-dev gnuplot-nox; do
	is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	[ "$EUID" -eq 0 ] || die "please install ${missing[*]}"
	{ apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >&2 ||
		die "cannot install ${missing[*]}"
fi

# apt-get looks only at sources it has been told of: a list of our own names Debian's.
fetch() {
	local package=$1 dir=$2 lists=$peers/apt
	mkdir -p "$dir" "$lists/lists/partial" || return
	(cd "$dir" && apt-get -q source --only-source "$package") >&2 && return
	. /etc/os-release
	printf 'deb-src http://deb.debian.org/debian %s main\n' "$VERSION_CODENAME" >"$lists/sources.list"
	local options=(-o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts=-
		-o Dir::State::lists="$lists/lists" -o Dir::Cache="$lists")
	apt-get -q "${options[@]}" update >&2 && (cd "$dir" && apt-get -q "${options[@]}" source --only-source "$package") >&2
}

# build name library definition...: the source package "name" to peers/name/{include,lib}
build() {
	local name=$1 library=$2 work source
	shift 2
	[ ! -e "$peers/$name/done" ] || return 0
	say "building $name"
	work=$peers/$name.work
	rm -rf "$work" "${peers:?}/$name"
	fetch "$name" "$work" || die "cannot get the source of $name"
	source=$(find "$work" -mindepth 1 -maxdepth 1 -type d -name "$name-*")
	# A quiet neighbour: it runs beside whatever else the machine does.
	{ nice -n 15 cmake -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF "$@" &&
		nice -n 15 cmake --build "$work/build" -j "$jobs" --target "$name"; } >"$peers/$name.log" 2>&1 ||
		die "building $name failed, see $peers/$name.log"
	mkdir -p "$peers/$name/lib" && cp -a "$source/include" "$peers/$name/" && cp "$work/build/$library" "$peers/$name/lib/" &&
		basename "$source" >"$peers/$name/done" || die "cannot write to $peers/$name"
	rm -rf "$work"
}

mkdir -p "$peers" || die "cannot write to $peers"
build leveldb libleveldb.a -DLEVELDB_BUILD_TESTS=OFF -DLEVELDB_BUILD_BENCHMARKS=OFF -DLEVELDB_INSTALL=OFF \
	-DHAVE_CRC32C=1 -DCMAKE_CXX_FLAGS="-march=native -I$root/bench/peers"
build rocksdb librocksdb.a -DCMAKE_CXX_FLAGS="-w -include cstdint" -DPORTABLE=0 -DFORCE_SSE42=ON \
	-DWITH_TESTS=OFF -DWITH_BENCHMARK_TOOLS=OFF -DWITH_TOOLS=OFF -DWITH_CORE_TOOLS=OFF -DWITH_GFLAGS=OFF \
	-DWITH_LZ4=ON -DWITH_ZSTD=ON -DWITH_SNAPPY=OFF -DROCKSDB_BUILD_SHARED=OFF -DFAIL_ON_WARNINGS=OFF
printf '%s\n' "$peers"
