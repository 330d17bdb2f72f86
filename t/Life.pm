# The tables of a cluster's life (090_life.pl), foreign ones and their heap twins, and what is done to files under them.
package Life;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(ask differences life_schema log_is_lost lost_keys spoil_tree);

my $greatest_key = 32767; # and a little more than change() makes

# Statements that make tables f, f_apart (in a column family) and f_log (without a key), their twins, and procedures that
# change both alike.
sub life_schema
{
	my ($rows) = @_;
	my $sql = q{
	CREATE EXTENSION nvmkv_fdw;
	CREATE SERVER apart FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'apart');
	CREATE FOREIGN TABLE f (k int NOT NULL, n int, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE h (k int PRIMARY KEY, n int, pad text);
	CREATE FOREIGN TABLE f_apart (k int NOT NULL, n int, pad text) SERVER apart OPTIONS (primary_key 'k DESC');
	CREATE TABLE h_apart (k int PRIMARY KEY, n int, pad text);
	CREATE FOREIGN TABLE f_log (n int, pad text) SERVER nvmkv;
	CREATE TABLE h_log (n int, pad text);
	CREATE TABLE tick (n bigint);
	INSERT INTO tick VALUES (0);

	-- A change to both twins alike.  Who changes has a quarter of the keys for himself: two statements have two
	-- snapshots, so twins would differ rightly after changes of others in between.
	CREATE PROCEDURE change(who int) LANGUAGE plpgsql AS $$
		DECLARE
			suffix text := CASE WHEN random() < 0.3 THEN '_apart' ELSE '' END;
			kind int := floor(random() * 100);
			key int := floor(random() * 5000);
			width int := 1 + floor(random() * CASE WHEN random() < 0.1 THEN 3000 ELSE 20 END);
			body text := repeat(md5(random()::text), floor(random() * CASE WHEN random() < 0.1 THEN 80 ELSE 8 END)::int);
			t text;
		BEGIN
			FOREACH t IN ARRAY ARRAY['f', 'h'] LOOP
				IF kind < 40 THEN
					EXECUTE format('INSERT INTO %s AS t SELECT g, 1, %L FROM generate_series(%s, %s, 4) g
						ON CONFLICT (k) DO UPDATE SET n = t.n + 1, pad = excluded.pad', t || suffix, body, key * 4 + who, (key + width) * 4);
				ELSIF kind < 70 THEN
					EXECUTE format('UPDATE %s SET n = n + 1, pad = %L WHERE k BETWEEN %s AND %s AND k %% 4 = %s', t || suffix, body, key * 4, (key + width) * 4, who);
				ELSIF kind < 85 THEN
					EXECUTE format('DELETE FROM %s WHERE k BETWEEN %s AND %s AND k %% 4 = %s', t || suffix, key * 4, (key + width) * 4, who);
				ELSIF kind < 99 THEN
					EXECUTE format('INSERT INTO %s_log SELECT g, %L FROM generate_series(%s, %s) g', t, body, key, key + width % 50);
				ELSE
					EXECUTE format('TRUNCATE %s_log', t);
				END IF;
			END LOOP;
		END
	$$;
	CREATE PROCEDURE work(who int) LANGUAGE plpgsql AS $$
		BEGIN
			LOOP
				-- TRUNCATE may meet a prepared transaction, and everybody would wait behind it.
				PERFORM set_config('lock_timeout', '2s', false);
				FOR i IN 1 .. 1 + floor(random() * 4) LOOP
					BEGIN
						CALL change(who);
						IF random() < 0.3 THEN RAISE division_by_zero; END IF;
					EXCEPTION WHEN division_by_zero OR lock_not_available THEN NULL;
					END;
				END LOOP;
				PERFORM set_config('lock_timeout', '0', false);
				UPDATE tick SET n = n + 1;
				IF random() < 0.2 THEN ROLLBACK; ELSE COMMIT; END IF;
			END LOOP;
		END
	$$;
	-- Uses up ids of transactions.
	CREATE PROCEDURE use_ids(count int) LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1 .. count LOOP
				BEGIN PERFORM pg_current_xact_id(); EXCEPTION WHEN division_by_zero THEN NULL; END;
				IF i % 50000 = 0 THEN COMMIT; END IF;
			END LOOP;
		END
	$$;
	INSERT INTO f SELECT g, 0, repeat('x', g % 300) FROM generate_series(1, ROWS) g;
	INSERT INTO h SELECT * FROM f;
	INSERT INTO f_apart SELECT * FROM f WHERE k % 3 = 0;
	INSERT INTO h_apart SELECT * FROM f_apart;
	-- Keys of a table that cannot be read; every other row must be its twin's.
	CREATE FUNCTION lost_keys(tab text, low int, high int) RETURNS SETOF int LANGUAGE plpgsql AS $$
		DECLARE
			range text := CASE WHEN low = high THEN format('k = %s', low) ELSE format('k BETWEEN %s AND %s', low, high) END;
			wrong text;
			said text;
		BEGIN
			BEGIN
				EXECUTE format('SELECT left(format(''%%s, not %%s'', f, h), 200) FROM (SELECT * FROM f%1$s WHERE %2$s) f
					FULL JOIN (SELECT * FROM h%1$s WHERE %2$s) h USING (k) WHERE f::text IS DISTINCT FROM h::text LIMIT 1', tab, range) INTO wrong;
			EXCEPTION WHEN data_corrupted THEN
				GET STACKED DIAGNOSTICS said = MESSAGE_TEXT;
				IF said <> format('reading foreign table "f%s" failed', tab) THEN RAISE; END IF;
			END;
			IF said IS NULL THEN
				IF wrong IS NOT NULL THEN RAISE EXCEPTION 'rows differ, %', wrong; END IF;
			ELSIF low = high THEN
				RETURN NEXT low;
			ELSE
				RETURN QUERY SELECT lost_keys(tab, low, (low + high) / 2);
				RETURN QUERY SELECT lost_keys(tab, (low + high) / 2 + 1, high);
			END IF;
		END
	$$;
	};

	$sql =~ s/ROWS/$rows/g;
	return $sql;
}

# What a server answers; again if a standby has to let its recovery go on.
sub ask
{
	my ($node, $sql) = @_;
	my ($out, $err);

	for (1 .. 100)
	{
		return $out if $node->psql('postgres', $sql, stdout => \$out, stderr => \$err) == 0;
		last if $err !~ /conflict with recovery|deadlock detected/;
	}
	die "$err while running $sql";
}

# Rows that differ, at most five.  A query of two tables in one snapshot, so writers may go on.
sub differences
{
	my ($node) = @_;

	return ask($node, q{
		SELECT 'f', left(f::text, 60), left(h::text, 60) FROM f FULL JOIN h USING (k) WHERE f::text IS DISTINCT FROM h::text
		UNION ALL
		SELECT 'apart', left(f::text, 60), left(h::text, 60) FROM f_apart f FULL JOIN h_apart h USING (k) WHERE f::text IS DISTINCT FROM h::text
		UNION ALL
		SELECT 'log', 'too much', left(x::text, 60) FROM (SELECT n, pad FROM f_log EXCEPT ALL SELECT n, pad FROM h_log) x
		UNION ALL
		SELECT 'log', 'missing', left(x::text, 60) FROM (SELECT n, pad FROM h_log EXCEPT ALL SELECT n, pad FROM f_log) x
		LIMIT 5
	});
}

# ---------------------------------------------------------------- damage

# The keys of f and f_apart that cannot be read, by name of the table; dies if another row is not its twin's.
sub lost_keys
{
	my ($node) = @_;

	return map { my $suffix = $_; ("f$suffix" => [ split /\n/, ask($node, "SELECT lost_keys('$suffix', 0, $greatest_key)") ]) } '', '_apart';
}

# Rows of f_log have no key: it can be read, and then is as its twin, or not.
sub log_is_lost
{
	my ($node) = @_;
	my $different = eval {
		ask($node, 'SELECT count(*) FROM ((TABLE f_log EXCEPT ALL TABLE h_log) UNION ALL (TABLE h_log EXCEPT ALL TABLE f_log)) x');
	};

	return 1 if $@ =~ /reading foreign table "f_log" failed/;
	die $@ if $@;
	die "f_log: $different rows differ" if $different != 0;
	return 0;
}

sub pick { return $_[ int rand @_ ] }

# Damages a file of the stopped server's tree, any but those without which it is none; returns what was done.
sub spoil_tree
{
	my ($node) = @_;
	my $dir = $node->data_dir . '/nvmkv';
	my @tables = glob("$dir/*.sst $dir/family-*/*.sst");
	my $file = pick(glob("$dir/level0.pool $dir/family-*/level0.pool"), @tables ? (pick(@tables)) x 4 : ());
	my $what = pick($file =~ /pool$/ ? 'bytes' : qw(bytes bytes missing short));

	if ($what eq 'missing')
	{
		unlink $file or die "$file: $!";
	}
	elsif ($what eq 'short')
	{
		truncate($file, int rand -s $file) or die "$file: $!";
	}
	else
	{
		my $page = pick(used_pages($file)) // return "$file is empty";
		my $at = $page * 4096 + int rand 4096;
		my $left = (-s $file) - $at;
		my $count = pick(1, 10, 500, 5000);

		return "nothing of $file" if $left <= 0;
		$count = $left if $count > $left;
		open(my $fh, '+<:raw', $file) or die "$file: $!";
		seek($fh, $at, 0);
		print $fh pick("\0", "\xa5") x $count;
		close $fh or die "$file: $!";
		$what = "$count bytes at $at";
	}
	return "$file: $what";
}

# The pages of a file that have something in them, but for a container's header.
sub used_pages
{
	my ($file) = @_;
	my $bytes = slurp_file($file);

	return grep { substr($bytes, $_ * 4096, 4096) =~ /[^\0]/ } ($file =~ /pool$/ ? 256 : 0) .. (length($bytes) - 1) / 4096;
}

1;
