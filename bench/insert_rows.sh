# The tables of the insert benchmark, heap and nvmkv, and a procedure that fills them; to be sourced by bash, after server.sh.

columns="id bigint PRIMARY KEY, at timestamptz NOT NULL, register int NOT NULL, customer int NOT NULL, product int NOT NULL,
	price double precision NOT NULL, data text NOT NULL"
keys=("price, customer" "register, price, customer" "price, at, customer")

# make_tables INDEXES
make_tables() {
	local table i
	query -c "CREATE EXTENSION nvmkv_fdw" -c "CREATE TABLE heap ($columns)" -c "CREATE FOREIGN TABLE nvmkv ($columns) SERVER nvmkv"
	for table in heap nvmkv; do
		for ((i = 0; i < $1; i++)); do
			query -c "CREATE INDEX ON $table (${keys[i]})"
		done
	done
	# A row's columns follow from its key, so that both tables get the same ones, in whatever turns.
	query <<-'SQL'
		CREATE UNLOGGED TABLE timing (tab text, batch int, ms double precision);
		CREATE FUNCTION noise(n bigint, salt int, below int) RETURNS int LANGUAGE sql IMMUTABLE
			RETURN (hashint8extended(n, salt) & 2147483647) % below;
		CREATE PROCEDURE fill(tab text, first int, last int, size int) LANGUAGE plpgsql AS $$
		DECLARE
			start timestamptz;
		BEGIN
			FOR b IN first .. last LOOP
				start := clock_timestamp();
				EXECUTE format('INSERT INTO %I SELECT g, timestamptz ''2026-01-01'' + g * interval ''1 s'', noise(g, 1, 1000),
					noise(g, 2, 100000), noise(g, 3, 10000), noise(g, 4, 10000000) / 100.0, repeat(chr(97 + noise(g, 5, 26)), 30)
					FROM generate_series(%s::bigint, %s) g', tab, b::bigint * size + 1, (b + 1)::bigint * size);
				COMMIT;
				INSERT INTO timing VALUES (tab, b, 1000 * extract(epoch FROM clock_timestamp() - start));
			END LOOP;
		END
		$$;
	SQL
}
