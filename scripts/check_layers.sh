#!/bin/bash
# Do all includes respect the layers?
#
#   base < port < { mem log sst nvm } < meta < iter < tree < read < job < db < nvmkv.h < src/fdw < bgworker
#
# A file includes its own folder and lower layers; folders in braces do not see each other.  What implements
# nvmkv.h, tree to db, includes it; src/fdw/module.c starts the workers and so sees bgworker.  The server's headers
# appear in src/fdw, bgworker and src/engine/port/port_pg.* only.
# Prints what is wrong; the exit code says whether anything is.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

find src bgworker -name '*.[ch]' | LC_ALL=C sort | xargs -r awk '
BEGIN {
	n = split("base:0 port:1 mem:2 log:2 sst:2 nvm:2 meta:3 iter:4 tree:5 read:6 job:7 db:8 nvmkv.h:9 fdw:10 bgworker:11", pairs, " ")
	for (i = 1; i <= n; i++) {
		split(pairs[i], pair, ":")
		level[pair[1]] = pair[2]
	}
}
function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad = 1
}
# The layer of a path as includes spell it: "" when it is none of ours.
function layer_of(path,  part) {
	split(path, part, "/")
	if (part[1] == "engine")
		return part[2] ~ /^nvmkv.*\.h$/ ? "nvmkv.h" : part[2]
	if (part[1] == "fdw" || part[1] == "bgworker")
		return part[1]
	return ""
}
FNR == 1 {
	path = FILENAME
	sub(/^src\//, "", path)
	mine = layer_of(path)
	if (!(mine in level))
		complain("a folder outside the layers")
	host = mine == "fdw" || mine == "bgworker" || path ~ /^engine\/port\/port_pg\.[ch]$/
}
/^[ \t]*#[ \t]*include[ \t]/ {
	name = $0
	sub(/^[^<"]*[<"]/, "", name)
	quoted = $0 ~ /"/
	sub(/[>"].*$/, "", name)
	theirs = layer_of(name)
	if (theirs == "") {
		if (!host && (quoted || name ~ /^(postgres|c|fmgr|miscadmin)\.h$|^(access|catalog|storage|utils|executor|nodes)\//))
			complain("\"" name "\" is not a header of the engine; headers of the server belong to src/fdw, bgworker and port_pg")
		next
	}
	if (!(theirs in level)) {
		complain("\"" name "\" is in no layer")
		next
	}
	if (theirs == mine)
		next
	if (mine ~ /^(tree|read|job|db)$/ && theirs == "nvmkv.h")
		next
	if (path == "fdw/module.c" && theirs == "bgworker")
		next
	if (level[theirs] >= level[mine])
		complain(mine " may not include " theirs " (\"" name "\")")
}
END { exit bad }'
