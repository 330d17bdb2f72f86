#!/bin/bash
# How much memory, container, disk and log tables of nvmkv_fdw take, by what was measured (doc/sizing.md).
#
#   scripts/sizing.sh -n ROWS -b BYTES [OPTION]...
#
#   -n ROWS      rows, of all tables together
#   -b BYTES     bytes a row, its key included:  SELECT avg(pg_column_size(t.*)) - 24 FROM t
#   -k BYTES     bytes of the primary key in a row (8)
#   -x BYTES     bytes of the columns of a secondary index, INCLUDE columns too; once for each index
#   -w ROWS      rows written in a second, when it is most (1000)
#   -m MB        memory of the machine (8192)
#   -s MB        shared_buffers (128)
#   -f FAMILIES  nvmkv.max_column_families (1)
#   --plain      names and bytes alone, with tabs between them
#
# Prints settings, and what they and the rows take: shared memory, disk, log. How far from it a server is, t/038_sizing.pl looks.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

rows=""
row_bytes=""
key_bytes=8
indexes=()
rate=1000
memory=8192
shared_buffers=128
families=1
plain=0
parse_options "-n rows number" "-b row_bytes number" "-k key_bytes number" "-x indexes list" "-w rate number" "-m memory number" \
	"-s shared_buffers number" "-f families number" "--plain plain flag" -- "$@"
[ -n "$rows" ] && [ -n "$row_bytes" ] || wrong_usage "rows (-n) and bytes a row (-b) are needed"
[ "$row_bytes" -ge "$key_bytes" ] || wrong_usage "a row is no smaller than its key"
for bytes in "${indexes[@]}"; do
	is_number "$bytes" || wrong_usage "-x wants a number from 1 on, not \"$bytes\""
done

# What was measured: bytes that an entry, of a row or an index, has beside its columns.
#   log       28 in a batch, 107 in a transaction of its own, 26 more for each index
#   memtable  55
#   container 32
#   files     10, and a fiftieth; of rows of 1 kB or more, whose values stand apart, up to twice their bytes until they are collected
# Shared memory beside the server's own: memtables and some 98 MB for each family, the block cache and 1/350 of it, 3 MB.
awk -v rows="$rows" -v row="$row_bytes" -v key="$key_bytes" -v list="${indexes[*]}" -v rate="$rate" -v memory="$memory" \
	-v buffers="$shared_buffers" -v families="$families" -v plain="$plain" '
function up(mb, step) { return step * int((mb + step - 1) / step) }
function between(x, least, most) { return x < least ? least : x > most ? most : x }
function power(mb,  p) { for (p = 1; p < mb; p *= 2); return p }
function show(name, text, bytes) {
	if (plain)
		printf "%s\t%.0f\n", name, bytes
	else if (bytes >= 10737418240)
		printf "%-56s %8.1f GB\n", text, bytes / 1073741824
	else if (bytes >= 10485760)
		printf "%-56s %8.0f MB\n", text, bytes / 1048576
	else if (bytes >= 10240)
		printf "%-56s %8.0f kB\n", text, bytes / 1024
	else
		printf "%-56s %8.0f bytes\n", text, bytes
}
function set(name, mb) {
	if (plain)
		printf "%s\t%.0f\n", name, mb * 1048576
	else
		printf "%-56s %8.0f MB\n", name, mb
}
BEGIN {
	MB = 1048576
	count = split(list, columns, " ")
	in_memory = row + 55
	in_container = row + 32
	in_files = row * 1.02 + 10
	batch = row + 28
	single = row + 107
	for (i = 1; i <= count; i++) {
		entry = columns[i] + key
		in_memory += entry + 55
		in_container += entry + 32
		in_files += entry * 1.02 + 10
		batch += entry + 26
		single += entry + 26
	}
	disk = rows * in_files
	apart = row >= 1024 ? rows * row : 0

	# A memtable takes what is written in ten seconds; a level that is a tenth of the next costs the least to merge.
	buffer = between(power(rate * in_memory * 10 / MB), 64, 256)
	while (buffer > 16 && buffer * 4 * families > memory / 8)
		buffer /= 2
	container = up(between(disk / 10 / MB, 512, memory / 4 < 512 ? 512 : memory / 4), 64)
	cache = up(between(memory / 8, 64, 16384), 16)
	shared = families * (4 * buffer + 98) + cache * (1 + 1 / 350) + 3

	if (!plain)
		print "settings"
	set("nvmkv.write_buffer_size", buffer)
	set("nvmkv.nvm_size", container)
	set("nvmkv.block_cache_size", cache)
	if (!plain)
		print "\nmemory"
	show("shared_memory", "shared memory for foreign tables", shared * MB)
	show("shared_memory_size", "shared memory of the server, about", (shared + buffers * 1.03 + 11) * MB)
	if (!plain)
		print "\ndisk"
	show("container_row", "a row with its index entries in the container", in_container)
	show("file_row", "a row with its index entries in files, compacted", in_files)
	show("data", "rows and indexes in files, compacted", disk)
	show("data_most", "the same with what is not merged or collected yet", disk * 1.25 + apart)
	show("container", "containers", families * container * MB)
	show("disk", "disk to have, without the log", disk * 1.25 + apart + families * container * MB)
	if (!plain)
		print "\nlog"
	show("wal_batch", "a row, written in batches (COPY, INSERT ... SELECT)", batch)
	show("wal_single", "a row, in a transaction of its own", single)
	show("wal_second", "a second of single rows", rate * single)
	show("wal_day", "a day of it", rate * single * 86400)
}'
