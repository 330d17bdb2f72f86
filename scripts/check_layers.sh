#!/bin/bash
# Do files only go down: by what they include, and by what they call?
#
#   scripts/check_layers.sh                by includes
#   scripts/check_layers.sh DIR...         and by calls, from the symbols of the objects that were built there
#
#   base < port < { mem log sst nvm } < meta < iter < tree < read < job < db < nvmkv.h < tools
#   nvmkv.h < key < host < table < txn < storage < plan < scan < modify < { ddl admin } < bgworker < src/fdw itself
#
# A file goes to its own folder and to lower layers; folders in braces do not see each other.  What implements
# nvmkv.h, tree to db, includes it.  The server's headers
# appear in src/fdw, bgworker and src/engine/port/port_pg.* only.
#
# Files, a .c and its .h being one, make no circle.
#
# Prints what is wrong; the exit code says whether anything is.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

parse_options "words 0 any" -- "$@"
set -- "${arguments[@]}"
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

for dir in "$@"; do
	[ -d "$dir" ] || die "no directory $dir"
done

# Of objects whose source has gone nothing is to be known.
symbols() {
	local dir object
	for dir in "$@"; do
		for object in $(cd "$dir" && find src bgworker tools -name '*.o' 2>/dev/null); do
			[ ! -e "${object%.o}.c" ] || printf '%s\0' "$dir/$object"
		done | xargs -0 -r nm -A | sed "s#^$dir/##"
	done
}

# Lines "include FILE LINE NAME QUOTED" and "symbol FILE TYPE NAME".
facts() {
	find src bgworker tools -name '*.[ch]' | LC_ALL=C sort | xargs -r awk '
		FNR == 1 { print "file", FILENAME }
		/^[ \t]*#[ \t]*include[ \t]/ {
			name = $0
			sub(/^[^<"]*[<"]/, "", name)
			quoted = $0 ~ /"/
			sub(/[>"].*$/, "", name)
			print "include", FILENAME, FNR, name, quoted
		}'
	symbols "$@" | awk '{ split($1, at, ":"); print "symbol", at[1], $(NF - 1), $NF }'
}

facts "$@" | LC_ALL=C awk '
BEGIN {
	n = split("base:0 port:1 mem:2 log:2 sst:2 nvm:2 meta:3 iter:4 tree:5 read:6 job:7 db:8 nvmkv.h:9 tools:10 key:11 " \
			  "host:12 table:13 txn:14 storage:15 plan:16 scan:17 modify:18 ddl:19 admin:19 bgworker:20 fdw:21", pairs, " ")
	for (i = 1; i <= n; i++) {
		split(pairs[i], pair, ":")
		level[pair[1]] = pair[2]
	}
}
function complain(where, text) {
	printf "%s: %s\n", where, text
	bad = 1
}
# The layer of a path as includes spell it: "" when it is none of ours.
function layer_of(path,  part) {
	split(path, part, "/")
	if (part[1] == "engine")
		return part[3] == "" ? "nvmkv.h" : part[2]
	if (part[1] == "fdw")
		return part[3] == "" ? part[1] : part[2]
	if (part[1] == "bgworker" || part[1] == "tools")
		return part[1]
	return ""
}
# A file without its ending, as includes spell it.
function unit_of(path) {
	sub(/^src\//, "", path)
	sub(/\.[cho]$/, "", path)
	return path
}
function go(from, to, how) {
	if (from == to)
		return
	if (!((from, to) in edge))
		edges[++nedges] = from SUBSEP to
	edge[from, to] = edge[from, to] (edge[from, to] == "" ? "" : ", ") how
}
function may_go(from, to,  mine, theirs) {
	mine = layer_of(from)
	theirs = layer_of(to)
	return theirs == mine || (level[theirs] < level[mine] && theirs != "tools") || (mine ~ /^(tree|read|job|db)$/ && theirs == "nvmkv.h")
}
$1 == "file" {
	if (!(layer_of(unit_of($2) ".h") in level))
		complain($2, "a folder outside the layers")
}
$1 == "include" {
	from = unit_of($2)
	mine = layer_of(from)
	theirs = layer_of($4)
	if (theirs == "") {
		host = from ~ /^(fdw|bgworker)\// || from == "engine/port/port_pg"
		if (!host && ($5 || $4 ~ /^(postgres|c|fmgr|miscadmin)\.h$|^(access|catalog|storage|utils|executor|nodes)\//))
			complain($2 ":" $3, "\"" $4 "\" is not a header of the engine; headers of the server belong to src/fdw, bgworker and port_pg")
		next
	}
	if (!(theirs in level)) {
		complain($2 ":" $3, "\"" $4 "\" is in no layer")
		next
	}
	if (!may_go(from, $4))
		complain($2 ":" $3, mine " may not include " theirs " (\"" $4 "\")")
	go(from, unit_of($4), "includes it")
}
$1 == "symbol" && $3 ~ /^[TDBRVWC]$/ { home[$4] = unit_of($2) }
$1 == "symbol" && $3 == "U" { calls[++ncalls] = unit_of($2) SUBSEP $4 }
END {
	for (i = 1; i <= ncalls; i++) {
		split(calls[i], call, SUBSEP)
		if (!(call[2] in home) || seen[calls[i]]++)
			continue
		if (!may_go(call[1], home[call[2]]))
			complain(call[1] ".c", "calls up, " call[2] " of " home[call[2]] ".c")
		go(call[1], home[call[2]], call[2])
	}
	# Who goes to nobody, or whom nobody goes to, is in no circle; and so on until only circles, and what is between
	# two of them, is left.
	for (i = 1; i <= nedges; i++) {
		split(edges[i], pair, SUBSEP)
		out[pair[1]]++
		in_[pair[2]]++
		out[pair[2]] += 0
		in_[pair[1]] += 0
	}
	do {
		went = 0
		for (i = 1; i <= nedges; i++) {
			if (edges[i] == "")
				continue
			split(edges[i], pair, SUBSEP)
			if (out[pair[2]] == 0 || in_[pair[1]] == 0) {
				out[pair[1]]--
				in_[pair[2]]--
				edges[i] = ""
				went = 1
			}
		}
	} while (went)
	for (i = 1; i <= nedges; i++) {
		if (edges[i] == "")
			continue
		split(edges[i], pair, SUBSEP)
		how = edge[pair[1], pair[2]]
		if (length(how) > 160)
			how = substr(how, 1, 160) " ..."
		complain(pair[1], "in a circle with " pair[2] " (" how ")")
	}
	exit bad
}' | LC_ALL=C sort
exit "${PIPESTATUS[1]}"
