#!/bin/bash
# Plots of benchmarks.
#
#   bench/plots.sh DIR       results of bench/engine.sh
#   bench/plots.sh FILE...   what bench/insert.sh, queue.sh, sql.sh, shards.sh or scripts/ha_tests.sh wrote with -o
#
# Of DIR, for each group and workload that writes, operations in each second; for each that has latencies, their
# distribution; and the throughput of all workloads as bars.  Of rounds, the first is shown over time, and medians as bars.
#
# Of a FILE "x.csv" x.rate.png has rows or transactions a second over time, by tenths of a second or a two hundredth of the
# whole, x.latency.png the distribution of batches' latencies, x.ratio.png medians of nvmkv to those of the heap, whichever
# there are.  Of shards, x.rate.png has rates over their number; of
# scripts/ha_tests.sh x.png has what was done in each second.  Pictures are where the results are.
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/sqlplots.sh"

parse_options "words 1 any" -- "$@"
command -v gnuplot >/dev/null || die "gnuplot is missing: install the package gnuplot-nox"
terminal='set terminal pngcairo size 1000,560 font "sans,11"; set key outside right; set grid'
color() {
	case $1 in
	nvmkv) echo '#d62728' ;;
	leveldb | heap) echo '#1f77b4' ;;
	*) echo '#2ca02c' ;;
	esac
}

if [ -f "${arguments[0]}" ]; then
	for file in "${arguments[@]}"; do
		plot_file "$file"
	done
	exit 0
fi
[ ${#arguments[@]} -eq 1 ] || wrong_usage "one directory, or files"
out=${arguments[0]}
[ -r "$out/table.csv" ] || die "no results in $out"

# lines label.workload kind columns: one line an engine
lines() {
	local engine file sep=
	for engine in nvmkv leveldb rocksdb; do
		file=$out/series/$1.$engine.1.$2
		[ "$(wc -l 2>/dev/null <"$file")" -gt 1 ] 2>/dev/null || continue
		printf '%s"%s" using %s with lines lw 2 lc rgb "%s" title "%s"' "$sep" "$file" "$3" "$(color "$engine")" "$engine"
		sep=', '
	done
}

for name in fill4k.fillrandom fill4kdisk.fillrandom fill100.fillrandom fill100.overwrite; do
	plot=$(lines "$name" seconds 1:2)
	[ -n "$plot" ] || continue
	gnuplot <<-END || exit 1
		$terminal
		set output '$out/$name.time.png'
		set title '$name: operations in each second'
		set xlabel 'seconds'
		set yrange [0:*]
		plot $plot
	END
done

# The share that takes longer, on a logarithmic scale: tails are what matters.
for name in fill4k.fillrandom fill100.fillrandom fill100.readrandom fill100.readmissing fill100.seekrandom \
	fill100.readwhilewriting sync.fillsync; do
	plot=$(lines "$name" latency '1:(1-$2 > 1e-7 ? 1-$2 : 1/0)')
	[ -n "$plot" ] || continue
	gnuplot <<-END || exit 1
		$terminal
		set output '$out/$name.latency.png'
		set title '$name: share of operations that take longer'
		set logscale xy
		set format y '10^{%L}'
		set xlabel 'microseconds'
		plot $plot
	END
done

# Throughput as a ratio to the better peer's, from the medians of each.
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
	$(c["operations"]) > 0 {
		name = $(c["label"]) " " $(c["workload"])
		if (!(name in order)) { order[name] = ++n; names[n] = name }
		v[name, $(c["engine"]), ++k[name, $(c["engine"])]] = $(c["ops_per_s"])
	}
	function median(name, engine,    m, i, j, t, a) {
		m = k[name, engine]
		for (i = 1; i <= m; i++) a[i] = v[name, engine, i]
		for (i = 2; i <= m; i++) for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
		return m == 0 ? 0 : m % 2 ? a[(m + 1) / 2] : (a[m / 2] + a[m / 2 + 1]) / 2
	}
	END {
		for (i = 1; i <= n; i++) {
			own = median(names[i], "nvmkv"); l = median(names[i], "leveldb"); r = median(names[i], "rocksdb")
			best = l > r ? l : r
			if (own > 0 && best > 0) printf "\"%s\"\t%.4f\t%.4f\t%.4f\n", names[i], own / best, l / best, r / best
		}
	}' "$out/table.csv" >"$out/ratios.tsv" || exit 1
[ -s "$out/ratios.tsv" ] || exit 0
gnuplot <<-END
	set terminal pngcairo size 1400,700 font "sans,11"
	set output '$out/ratios.png'
	set title 'operations a second, as a ratio to the better of LevelDB and RocksDB'
	set style data histograms
	set style fill solid 0.8
	set grid y
	set xtics rotate by -35 scale 0
	set yrange [0:*]
	plot '$out/ratios.tsv' using 2:xtic(1) lc rgb '$(color nvmkv)' title 'nvmkv', \
		'' using 3 lc rgb '$(color leveldb)' title 'LevelDB', \
		'' using 4 lc rgb '$(color rocksdb)' title 'RocksDB', 1 with lines lc rgb 'black' notitle
END
