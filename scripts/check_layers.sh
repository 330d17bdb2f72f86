#!/bin/bash
# Do files only go down: by what they include, and by what they call?
#
#   scripts/check_layers.sh                by includes
#   scripts/check_layers.sh DIR...         and by calls, from the symbols of the objects that were built there
#
# The order is that of the picture in doc/architecture.md, "Folders are layers".  A file goes to its own folder and to lower
# ones; folders with no line between them do not see each other, and nobody sees tools.  What implements nvmkv.h, tree
# to db, includes it.  The server's headers appear in src/fdw, bgworker and src/engine/port/port_pg.* only.  The picture
# has every folder, and no other one.
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

# Lines "layer PATH LEVEL" from the picture, the highest first.
picture() {
	awk '
		/^## / { here = $0 == "## Folders are layers"; next }
		here && /^```/ { drawn = !drawn; next }
		here && drawn && /^ +\|/ { level--; next }
		here && drawn && NF > 0 { print "layer", $1, level + 0 }' doc/architecture.md
}

{
	picture
	facts "$@"
} | LC_ALL=C awk '
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
$1 == "layer" {
	name = $2
	sub(/.*\//, "", name)
	if (name in level)
		complain("doc/architecture.md", $2 " is twice in the picture of the layers")
	level[name] = $3
	drawn[name] = $2
}
$1 == "file" {
	mine = layer_of(unit_of($2) ".h")
	if (mine in level)
		used[mine] = 1
	else
		complain($2, "is in no folder of the picture of the layers, doc/architecture.md")
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
	for (name in drawn)
		if (!(name in used))
			complain("doc/architecture.md", "the picture of the layers has " drawn[name] ", where there are no files")
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
