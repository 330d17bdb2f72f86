import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** A program on JDBC, for scripts/client_tests.sh: prints steps, and what it saw in each. */
public class Jdbc {
	interface Step {
		void run() throws Exception;
	}

	static Connection db;

	static void step(String name, Step step) {
		System.out.println("# " + name);
		try {
			step.run();
			if (!db.getAutoCommit()) {
				System.out.println("FAILED: not in autocommit");
				db.rollback();
				db.setAutoCommit(true);
			}
		} catch (Exception error) {
			error.printStackTrace();
			System.out.println("FAILED: " + String.valueOf(error.getMessage()).split("\n")[0]);
			try {
				if (!db.getAutoCommit()) {
					db.rollback();
					db.setAutoCommit(true);
				}
			} catch (SQLException worse) {
				worse.printStackTrace();
			}
		}
	}

	static void refused(String sql) {
		try (Statement statement = db.createStatement()) {
			statement.execute(sql);
			System.out.println("FAILED: no error");
		} catch (SQLException error) {
			System.out.println(error.getSQLState() + " " + error.getMessage().split("\n")[0]);
		}
	}

	static void run(String... sqls) throws SQLException {
		try (Statement statement = db.createStatement()) {
			for (String sql : sqls)
				statement.execute(sql);
		}
	}

	static void show(ResultSet rows, String... columns) throws SQLException {
		ResultSetMetaData meta = rows.getMetaData();
		while (rows.next()) {
			StringJoiner line = new StringJoiner("|");
			if (columns.length == 0)
				for (int i = 1; i <= meta.getColumnCount(); i++)
					line.add(rows.getString(i));
			for (String column : columns)
				line.add(rows.getString(column));
			System.out.println(line);
		}
		rows.close();
	}

	static void query(String sql) throws SQLException {
		try (Statement statement = db.createStatement()) {
			show(statement.executeQuery(sql));
		}
	}

	static void tables() throws SQLException {
		run("CREATE TABLE customers (id bigserial PRIMARY KEY, name varchar(30) NOT NULL UNIQUE, credit numeric(10,2) DEFAULT 0 CHECK (credit >= 0), born date, picture bytea)",
			"CREATE TABLE orders (customer bigint REFERENCES customers ON DELETE CASCADE, no int, item text, total double precision, paid boolean DEFAULT false, remarks text, PRIMARY KEY (customer, no))",
			"CREATE TABLE parcels (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint, no int, sent timestamptz, track uuid, tags text[], notes jsonb, "
				+ "CONSTRAINT of_order FOREIGN KEY (customer, no) REFERENCES orders ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED)",
			"CREATE INDEX orders_item ON orders (item DESC, total)",
			"CREATE UNIQUE INDEX customers_lower ON customers (lower(name)) WHERE credit > 0",
			"CREATE VIEW rich AS SELECT * FROM customers WHERE credit > 100",
			"COMMENT ON TABLE orders IS 'what was ordered'",
			"COMMENT ON COLUMN orders.item IS 'which thing'");
	}

	static void keys() throws SQLException {
		DatabaseMetaData meta = db.getMetaData();
		for (String table : List.of("customers", "orders", "parcels")) {
			System.out.println(table);
			show(meta.getColumns(null, "public", table, "%"), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "NULLABLE", "COLUMN_DEF", "REMARKS", "ORDINAL_POSITION", "IS_AUTOINCREMENT", "IS_GENERATEDCOLUMN");
			show(meta.getPrimaryKeys(null, "public", table), "COLUMN_NAME", "KEY_SEQ", "PK_NAME");
			show(meta.getIndexInfo(null, "public", table, false, true), "INDEX_NAME", "NON_UNIQUE", "TYPE", "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC", "FILTER_CONDITION");
			show(meta.getIndexInfo(null, "public", table, true, true), "INDEX_NAME", "COLUMN_NAME");
			show(meta.getImportedKeys(null, "public", table));
			show(meta.getExportedKeys(null, "public", table));
			show(meta.getBestRowIdentifier(null, "public", table, DatabaseMetaData.bestRowSession, false), "COLUMN_NAME", "PSEUDO_COLUMN");
		}
		show(meta.getCrossReference(null, "public", "orders", null, "public", "parcels"));
	}

	static void batches() throws SQLException {
		String sql = "INSERT INTO customers (name, credit, born, picture) VALUES (?, ?, ?, ?)";
		try (PreparedStatement insert = db.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
			for (int i = 1; i <= 200; i++) {
				insert.setString(1, "customer " + i);
				insert.setBigDecimal(2, new BigDecimal(i).movePointLeft(1));
				insert.setObject(3, java.time.LocalDate.of(1950, 1, 1).plusDays(i));
				insert.setBytes(4, new byte[] {(byte) i, 0, (byte) 255});
				insert.addBatch();
			}
			System.out.println(Arrays.stream(insert.executeBatch()).sum());
			ResultSet ids = insert.getGeneratedKeys();
			long sum = 0, n = 0;
			while (ids.next()) {
				sum += ids.getLong("id");
				n++;
			}
			System.out.println(n + " " + sum);
		}
		try (PreparedStatement insert = db.prepareStatement("INSERT INTO orders VALUES (?, ?, ?, ?)", new String[] {"no", "paid"})) {
			for (int i = 0; i < 600; i++) {
				insert.setLong(1, i % 200 + 1);
				insert.setInt(2, i / 200);
				insert.setString(3, i % 7 == 0 ? null : "item " + i);
				insert.setDouble(4, i / 4.0);
				insert.addBatch();
			}
			System.out.println(Arrays.stream(insert.executeBatch()).filter(n -> n == 1 || n == Statement.SUCCESS_NO_INFO).count());
			ResultSet made = insert.getGeneratedKeys();
			made.next();
			System.out.println(made.getInt(1) + " " + made.getBoolean(2));
		}
		try (PreparedStatement insert = db.prepareStatement("INSERT INTO customers (name) VALUES (?)")) {
			for (String name : List.of("new", "customer 5", "newer")) {
				insert.setString(1, name);
				insert.addBatch();
			}
			insert.executeBatch();
			System.out.println("FAILED: no error");
		} catch (BatchUpdateException error) {
			System.out.println(error.getSQLState() + " " + Arrays.toString(error.getUpdateCounts()));
		}
		query("SELECT count(*), sum(credit), max(born), md5(string_agg(encode(picture, 'hex'), '' ORDER BY id)) FROM customers");
	}

	static void types() throws SQLException {
		UUID track = UUID.fromString("12345678-1234-1234-1234-123456789abc");
		try (PreparedStatement insert = db.prepareStatement("INSERT INTO parcels (customer, no, sent, track, tags, notes) VALUES (?, ?, ?, ?, ?, ?::jsonb)", Statement.RETURN_GENERATED_KEYS)) {
			insert.setLong(1, 7);
			insert.setInt(2, 1);
			insert.setObject(3, java.time.OffsetDateTime.parse("2020-02-03T04:05:06Z"));
			insert.setObject(4, track);
			insert.setArray(5, db.createArrayOf("text", new String[] {"a", null, "c d"}));
			insert.setString(6, "{\"k\": [1, 2]}");
			insert.executeUpdate();
			show(insert.getGeneratedKeys(), "id", "track");
		}
		// Often enough for a plan of the server's.
		for (int i = 0; i < 12; i++) {
			try (PreparedStatement select = db.prepareStatement("SELECT * FROM parcels WHERE track = ? AND sent < ?")) {
				select.setObject(1, track);
				select.setTimestamp(2, Timestamp.valueOf("2021-01-01 00:00:00"));
				ResultSet rows = select.executeQuery();
				rows.next();
				if (i == 11) {
					System.out.println(rows.getObject("track", UUID.class) + " " + Arrays.toString((Object[]) rows.getArray("tags").getArray()) + " " + rows.getString("notes"));
					ResultSetMetaData meta = rows.getMetaData();
					for (int c = 1; c <= meta.getColumnCount(); c++)
						System.out.println(meta.getTableName(c) + " " + meta.getColumnName(c) + " " + meta.getColumnTypeName(c) + " " + meta.isAutoIncrement(c) + " " + meta.isNullable(c));
				}
			}
		}
	}

	static void updatable() throws SQLException {
		try (Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
			ResultSet rows = statement.executeQuery("SELECT id, name, credit FROM customers WHERE id <= 3 ORDER BY id");
			rows.last();
			rows.updateString("name", "third");
			rows.updateRow();
			rows.first();
			rows.deleteRow();
			rows.moveToInsertRow();
			rows.updateLong("id", 1000);
			rows.updateString("name", "thousandth");
			rows.updateBigDecimal("credit", new BigDecimal("3.5"));
			rows.insertRow();
			rows.absolute(1);
			System.out.println(rows.getString(2));
			rows.refreshRow();
			rows.close();
			// A key of two columns.
			rows = statement.executeQuery("SELECT * FROM orders WHERE customer = 9 ORDER BY no");
			while (rows.next()) {
				rows.updateDouble("total", rows.getDouble("total") + 1);
				rows.updateRow();
			}
			rows.close();
		}
		query("SELECT id, name, credit FROM customers WHERE id < 4 OR id = 1000 ORDER BY id");
		query("SELECT * FROM orders WHERE customer IN (1, 9) ORDER BY 1, 2");
	}

	static void copies() throws Exception {
		CopyManager copy = db.unwrap(PGConnection.class).getCopyAPI();
		StringBuilder lines = new StringBuilder();
		for (int i = 0; i < 5000; i++)
			lines.append(5000 + i).append(",name ").append(i).append(",").append(i % 100).append("\n");
		System.out.println(copy.copyIn("COPY customers (id, name, credit) FROM STDIN (FORMAT csv)", new StringReader(lines.toString())));
		StringWriter out = new StringWriter();
		System.out.println(copy.copyOut("COPY (SELECT id, name FROM customers ORDER BY id) TO STDOUT", out) + " " + out.toString().hashCode());
		out = new StringWriter();
		System.out.println(copy.copyOut("COPY customers TO STDOUT", out) + " " + out.toString().lines().count());
		try {
			copy.copyIn("COPY customers (id, name) FROM STDIN (FORMAT csv)", new StringReader("1,again\n5001,twice\n"));
			System.out.println("FAILED: no error");
		} catch (SQLException error) {
			System.out.println(error.getSQLState());
		}
	}

	static void cursors() throws SQLException {
		db.setAutoCommit(false);
		try (Statement statement = db.createStatement()) {
			statement.setFetchSize(50);
			ResultSet rows = statement.executeQuery("SELECT id, name FROM customers ORDER BY id");
			long sum = 0;
			int n = 0;
			while (rows.next()) {
				sum += rows.getLong(1);
				if (n++ == 100)
					run("UPDATE customers SET name = name || '!' WHERE id > 5000");
			}
			System.out.println(n + " " + sum);
		}
		try (Statement statement = db.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
			ResultSet rows = statement.executeQuery("SELECT id FROM customers WHERE id < 20 ORDER BY id DESC");
			rows.afterLast();
			rows.previous();
			System.out.print(rows.getLong(1));
			rows.relative(-3);
			System.out.println(" " + rows.getLong(1));
		}
		db.rollback();
		db.setAutoCommit(true);
		try (Statement statement = db.createStatement()) {
			statement.setMaxRows(7);
			ResultSet rows = statement.executeQuery("SELECT item FROM orders ORDER BY item NULLS FIRST, no, customer");
			int n = 0;
			while (rows.next())
				n++;
			System.out.println(n);
		}
	}

	static void savepoints() throws SQLException {
		db.setAutoCommit(false);
		run("INSERT INTO customers (id, name) VALUES (2000, 'kept')");
		Savepoint point = db.setSavepoint("point");
		refused("INSERT INTO customers (id, name) VALUES (2001, 'kept')");
		db.rollback(point);
		run("INSERT INTO customers (id, name) VALUES (2001, 'kept, too')");
		Savepoint other = db.setSavepoint();
		run("DELETE FROM customers WHERE id > 1999");
		db.rollback(other);
		db.releaseSavepoint(point);
		db.commit();
		db.setAutoCommit(true);
		query("SELECT id, name FROM customers WHERE id BETWEEN 1999 AND 2999 ORDER BY id");
		for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
			db.setTransactionIsolation(level);
			db.setAutoCommit(false);
			run("UPDATE orders SET paid = true WHERE customer = 20");
			query("SELECT count(*) FROM orders WHERE paid");
			db.rollback();
			db.setAutoCommit(true);
		}
		db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
		db.setReadOnly(true);
		db.setAutoCommit(false);
		refused("DELETE FROM orders");
		db.rollback();
		db.setAutoCommit(true);
		db.setReadOnly(false);
	}

	static void constraints() throws SQLException {
		refused("INSERT INTO customers (name) VALUES ('customer 5')");
		refused("INSERT INTO customers (name) VALUES (NULL)");
		refused("INSERT INTO customers (name, credit) VALUES ('x', -1)");
		refused("INSERT INTO customers (name) VALUES (repeat('x', 31))");
		refused("INSERT INTO orders VALUES (4711, 1)");
		refused("INSERT INTO parcels (customer, no) VALUES (4711, 1)");
		refused("INSERT INTO parcels (id) VALUES (1)");
		run("DELETE FROM customers WHERE id = 7");
		query("SELECT id, customer, no FROM parcels");
		query("SELECT count(*) FROM orders WHERE customer = 7");
	}

	static void large() throws SQLException {
		String text = "many words ".repeat(20000);
		try (PreparedStatement insert = db.prepareStatement("INSERT INTO orders (customer, no, remarks) VALUES (8, 99, ?)")) {
			insert.setCharacterStream(1, new StringReader(text));
			insert.executeUpdate();
		}
		query("SELECT length(remarks), md5(remarks) FROM orders WHERE no = 99");
	}

	public static void main(String[] arguments) throws Exception {
		Map<String, String> env = System.getenv();
		db = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + env.get("PGPORT") + "/" + env.get("PGDATABASE"), env.get("PGUSER"), env.get("PGPASSWORD"));
		DatabaseMetaData meta = db.getMetaData();
		step("tables", Jdbc::tables);
		step("kinds of tables", () -> query("SELECT relkind, relname FROM pg_class WHERE relname IN ('customers', 'orders', 'parcels') ORDER BY 2"));
		step("getTables", () -> show(meta.getTables(null, "public", "%", null), "TABLE_NAME", "TABLE_TYPE", "REMARKS"));
		step("getTables of type TABLE", () -> show(meta.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME"));
		step("getTables of tables of both types", () -> show(meta.getTables(null, "public", "%", new String[] {"TABLE", "FOREIGN TABLE"}), "TABLE_NAME"));
		step("columns, keys, indexes", Jdbc::keys);
		step("getTablePrivileges", () -> show(meta.getTablePrivileges(null, "public", "orders"), "GRANTEE", "PRIVILEGE", "IS_GRANTABLE"));
		step("batches and generated keys", Jdbc::batches);
		step("types and prepared statements", Jdbc::types);
		step("updatable results", Jdbc::updatable);
		step("CopyManager", Jdbc::copies);
		step("cursors", Jdbc::cursors);
		step("savepoints and isolation", Jdbc::savepoints);
		step("constraints", Jdbc::constraints);
		step("large values", Jdbc::large);
		step("drop", () -> run("DROP VIEW rich", "DROP TABLE parcels, orders, customers"));
		db.close();
	}
}
