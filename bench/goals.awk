# Medians and ratios of the engine benchmark: awk -f goals.awk goals.txt table.csv
#
# Prints each goal with its figure, whether it is met, and the figures behind it.

function trim(s) {
	gsub(/^[ \t]+|[ \t]+$/, "", s)
	return s
}

# Ratios are taken within a round, since what disturbs a machine comes and goes.
function median(a, n,    i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
			t = a[j]
			a[j] = a[j - 1]
			a[j - 1] = t
		}
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

function per(a, b) { return b > 0 ? a / b : 0 }

# A metric of a row, from its columns.
function metric(m) {
	if (m == "max_ms") return $(column["max_us"]) / 1000
	if (m == "p50_ms") return $(column["p50_us"]) / 1000
	if (m == "milliseconds") return $(column["seconds"]) * 1000
	if (m == "kops_per_s") return $(column["ops_per_s"]) / 1000
	if (m == "file_amplification") return per($(column["all_file_bytes"]), $(column["all_user_bytes"]))
	if (m == "nvm_amplification") return per($(column["all_nvm_bytes"]), $(column["all_user_bytes"]))
	if (m == "all_amplification")
		return per($(column["all_file_bytes"]) + $(column["all_nvm_bytes"]), $(column["all_user_bytes"]))
	if (m == "memory_per_key") return $(column["memory"])
	if (m == "level0_entries") return $(column["level0_entries"])
	return $(column[m])
}

function keep(m) {
	value[$(column["label"]), $(column["workload"]), m, $(column["engine"]), $(column["round"])] = metric(m)
	seen[$(column["label"]), $(column["workload"]), $(column["engine"]), $(column["round"])] = 1
}

# Is it there?  Leaves it in "got".
function find(e, l, w, m, r) {
	if (!((l, w, e, r) in seen))
		return 0
	got = value[l, w, m, e, r]
	return 1
}

# One goal's figure in one round; leaves what it is made of in "parts".
function figure(g, r,    own, other, best) {
	if (!find("nvmkv", label[g], workload[g], name[g], r))
		return 0
	own = got
	if (kind[g] == "value") {
		result = own
		parts = ""
		return 1
	}
	if (kind[g] == "against") {
		split(against[g], place, ":")
		if (!find("nvmkv", place[1], place[2], name[g], r))
			return 0
		other = got
		result = per(own, other)
		if (name[g] == "memory_per_key") {
			find("nvmkv", label[g], workload[g], "level0_entries", r)
			result = per(own - other, got)
		}
		parts = sprintf("%.4g / %.4g", own, other)
		return 1
	}
	best = 0
	parts = sprintf("nvmkv %.4g", own)
	if (find("leveldb", label[g], workload[g], name[g], round) && kind[g] == "best") {
		best = got
		parts = parts sprintf(", LevelDB %.4g", got)
	}
	if (find("rocksdb", label[g], workload[g], name[g], r)) {
		if (got > best)
			best = got
		parts = parts sprintf(", RocksDB %.4g", got)
	}
	if (best == 0)
		return 0
	result = own / best
	return 1
}

FNR == 1 { files++ }

files == 1 && /^#/ { next }

files == 1 && NF > 0 {
	split($0, field, "|")
	goals++
	text[goals] = trim(field[1])
	kind[goals] = trim(field[2])
	label[goals] = trim(field[3])
	workload[goals] = trim(field[4])
	name[goals] = trim(field[5])
	comparison[goals] = trim(field[6])
	goal[goals] = trim(field[7]) + 0
	against[goals] = trim(field[8])
	wanted[name[goals]] = 1
	next
}

files == 2 && FNR == 1 {
	n = split($0, title, ",")
	for (i = 1; i <= n; i++)
		column[title[i]] = i
	FS = ","
	wanted["level0_entries"] = 1
	next
}

files == 2 {
	for (m in wanted)
		keep(m)
	if ($(column["round"]) > rounds)
		rounds = $(column["round"])
}

END {
	for (g = 1; g <= goals; g++) {
		count = 0
		shown = ""
		worst = 0
		for (round = 1; round <= rounds; round++)
			if (figure(g, round)) {
				list[++count] = result
				if (result > worst)
					worst = result
				shown = shown (shown == "" ? "" : "; ") parts
			}
		if (count == 0) {
			printf "%s\t%s %s\t-\tnot measured\t\n", text[g], comparison[g], goal[g]
			continue
		}
		result = (name[g] ~ /^(max_ms|idle_seconds)$/ ? worst : median(list, count)) + 0
		met = comparison[g] == ">=" ? result >= goal[g] : result <= goal[g]
		printf "%s\t%s %s\t%.3g\t%s\t%s\n", text[g], comparison[g], goal[g], result, met ? "met" : "missed", shown
	}
}
