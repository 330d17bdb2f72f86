#!/usr/bin/python3
# Keeps tables of one database equal to those of another, by the changes that come out of logical decoding (doc/changes.md).
#
#   scripts/follow.py --source DSN --target DSN [--slot NAME] [--table [SCHEMA.]TABLE]... [--once]
#   scripts/follow.py --source DSN --target DSN [--slot NAME] --drop
#
#   --source, --target   as psql -d takes them; the source's role needs REPLICATION
#   --slot NAME          of the slot, and of an empty publication, that are made in the source (nvmkv_follow)
#   --table              which tables; all of the source that have the option "changes".  Only the first start looks at that
#   --once               ends when what had been committed at its start has arrived
#   --drop               ends following: slot, publication and position go
#
# The tables must be in the target, under the same names, with the same columns, and empty at the first start, which copies
# their rows from the slot's snapshot.  From then on each transaction of the source is one of the target, which notes
# there how far it is (table follow.position): so none is lost and none comes twice, whatever ends in between.  Where either side
# cannot be reached it tries again; what the target does not take (a column it has not got) ends it, and is taken at the next start.
#
# Needs Debian's python3-psycopg2.
import argparse
import json
import os
import select
import signal
import struct
import sys
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import sql

PREFIX = b'nvmkv'
BATCH_ROWS = 1000
BATCH_BYTES = 4 * 1024 * 1024
FEEDBACK_SECONDS = 5
# Text of values is the same on both sides, as it is in messages.
TEXT_FORM = '-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex -c search_path=pg_catalog -c client_encoding=UTF8'

stopping = False


class Refused(Exception):
	"""What trying again does not help."""


def say(text):
	print('follow: ' + text, file=sys.stderr, flush=True)


def connect(dsn, **more):
	options = psycopg2.extensions.parse_dsn(dsn).get('options', '')
	return psycopg2.connect(dsn, options=(options + ' ' + TEXT_FORM).strip(), application_name='nvmkv_follow', **more)


def is_superuser(cursor):
	cursor.execute('SELECT rolsuper FROM pg_roles WHERE rolname = current_user')
	return cursor.fetchone()[0]


def lsn(number):
	return '%X/%X' % (number >> 32, number & 0xffffffff)


def number_of(text):
	high, low = text.split('/')
	return int(high, 16) << 32 | int(low, 16)


# ---------------------------------------------------------------- the target's tables


class Column:
	def __init__(self, name, type_name, generated, identity, has_equality):
		self.name = name
		self.type = type_name
		self.generated = generated
		self.identity = identity # and nobody else gives it a value
		self.has_equality = has_equality


class Table:
	"""One of the target, and the statements for it, by the columns that a change has."""

	def __init__(self, cursor, name):
		self.name = name
		self.identifier = sql.Identifier(*name)
		cursor.execute('''
			SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity = 'a',
				EXISTS (SELECT FROM pg_opclass o JOIN pg_type t ON t.oid = a.atttypid WHERE o.opcdefault
					AND o.opcmethod IN (SELECT oid FROM pg_am WHERE amname = 'btree')
					AND o.opcintype IN (t.oid, t.typbasetype, CASE t.typname WHEN 'varchar' THEN 'text'::regtype::oid END,
						CASE WHEN t.typtype = 'e' THEN 'anyenum'::regtype::oid END))
			FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum''', name)
		self.columns = {row[0]: Column(*row) for row in cursor.fetchall()}
		if not self.columns:
			raise Refused('the target has no table "%s.%s"; make it there, or give it its name, and start again' % name)
		cursor.execute('SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = %s::regclass AND indisunique AND NOT indisprimary)',
			(self.identifier.as_string(cursor),))
		self.has_unique = cursor.fetchone()[0]
		self.statements = {}

	def columns_of(self, names):
		for name in names:
			if name not in self.columns:
				raise Refused('column "%s" of table "%s.%s" is not in the target; ALTER TABLE there, and start again' % ((name,) + self.name))
		return [self.columns[name] for name in names]

	@staticmethod
	def value(part, column):
		return sql.SQL('(m->{}->>{})::{}').format(sql.Literal(part), sql.Literal(column.name), sql.SQL(column.type))

	def condition(self, part, columns):
		"""Is t the row whose columns the message has there?"""
		tests = []
		for column in columns:
			here = sql.SQL('t.{}').format(sql.Identifier(column.name))
			there = self.value(part, column)
			if part == 'key':
				tests.append(sql.SQL('{} = {}').format(here, there))
			elif column.has_equality:
				tests.append(sql.SQL('{} IS NOT DISTINCT FROM {}').format(here, there))
			else:
				tests.append(sql.SQL('{}::text IS NOT DISTINCT FROM {}::text').format(here, there))
		return sql.SQL(' AND ').join(tests)

	def row(self, part, names):
		"""The row of a message m: by its key, or without one by all columns, and then one of those that are the same."""
		condition = self.condition(part, self.columns_of(names))
		if part == 'key':
			return condition
		return sql.SQL('t.ctid = (SELECT t.ctid FROM {} AS t WHERE {} LIMIT 1)').format(self.identifier, condition)

	def statement(self, op, part, row_names, new_names):
		key = (op, part, row_names, new_names)
		if key in self.statements:
			return self.statements[key]
		messages = sql.SQL('(SELECT x::jsonb AS m FROM unnest(%s::text[]) AS x) AS s')
		new = [column for column in self.columns_of(new_names) if not column.generated and not (op == 'update' and column.identity)]
		if op == 'insert':
			made = sql.SQL('INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM ').format(
				self.identifier, sql.SQL(', ').join(sql.Identifier(column.name) for column in new),
				sql.SQL(', ').join(self.value('new', column) for column in new)) + messages
		elif op == 'update':
			made = sql.SQL('UPDATE {} AS t SET {} FROM ').format(self.identifier, sql.SQL(', ').join(
				sql.SQL('{} = {}').format(sql.Identifier(column.name), self.value('new', column)) for column in new)) + \
				messages + sql.SQL(' WHERE ') + self.row(part, row_names)
		else:
			made = sql.SQL('DELETE FROM {} AS t USING ').format(self.identifier) + messages + sql.SQL(' WHERE ') + self.row(part, row_names)
		self.statements[key] = made
		return made


# ---------------------------------------------------------------- applying


class Applier:
	"""Changes of one transaction, into the target.  Those alike that follow each other make one statement."""

	def __init__(self, connection, slot, codec):
		self.connection = connection
		self.cursor = connection.cursor()
		self.slot = slot
		self.codec = codec # of the source's database, which messages are in
		self.tables = {}
		self.kind = None
		self.messages = []
		self.bytes = 0
		self.keys = set() # of rows that the messages update
		if is_superuser(self.cursor):
			# What triggers have done in the source comes as changes.
			self.cursor.execute('SET session_replication_role = replica')
		connection.commit()

	def table(self, name):
		if name not in self.tables:
			self.tables[name] = Table(self.cursor, name)
		return self.tables[name]

	def flush(self):
		if not self.messages:
			return
		name, op, part, row_names, new_names = self.kind
		self.cursor.execute(self.table(name).statement(op, part, row_names, new_names), (self.messages,))
		if self.cursor.rowcount != len(self.messages):
			raise Refused('%d of %d rows that were to be changed (%s) are not in table "%s.%s" of the target: somebody else has written to it'
				% (len(self.messages) - self.cursor.rowcount, len(self.messages), op, name[0], name[1]))
		self.messages = []
		self.bytes = 0
		self.keys = set()

	def take(self, message):
		text = message.decode(self.codec)
		change = json.loads(text, parse_float=str, parse_int=str)
		op = change['op']
		if op == 'truncate':
			self.flush()
			names = [(table['schema'], table['table']) for table in change['tables']]
			for name in names:
				self.table(name)
			self.cursor.execute(sql.SQL('TRUNCATE TABLE {}{}').format(sql.SQL(', ').join(sql.Identifier(*name) for name in names),
				sql.SQL(' RESTART IDENTITY' if change['restart_identity'] else '')))
			return
		part = 'key' if change['key'] is not None else 'old'
		row = () if op == 'insert' else tuple(change[part])
		new = tuple(change.get('new', ()))
		kind = ((change['schema'], change['table']), op, part, row, new)
		alone = part == 'old' and op != 'insert'
		if op == 'update' and not alone:
			# Several in one statement if they are of different rows, and cannot meet in a unique value before its end.
			key = tuple(change['key'].values())
			moves = any(change['new'][name] != value for name, value in change['key'].items())
			alone = moves or key in self.keys or self.table(kind[0]).has_unique
			if not moves and len(new) > len(row):
				kind = (kind[0], op, part, row, tuple(name for name in new if name not in row))
		if self.kind != kind or alone or len(self.messages) >= BATCH_ROWS or self.bytes >= BATCH_BYTES:
			self.flush()
		if op == 'update' and not alone:
			self.keys.add(key)
		self.kind = kind
		self.messages.append(text)
		self.bytes += len(text)

	def commit(self, position):
		self.flush()
		self.cursor.execute('UPDATE follow.position SET position = %s, at = now() WHERE slot = %s', (lsn(position), self.slot))
		self.connection.commit()


# ---------------------------------------------------------------- the first start


def told_tables(cursor):
	cursor.execute('''
		SELECT n.nspname, c.relname FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE EXISTS (SELECT FROM pg_options_to_table(f.ftoptions) WHERE option_name = 'changes') ORDER BY 1, 2''')
	return cursor.fetchall()


def choose_tables(cursor, names):
	told = told_tables(cursor)
	if not names:
		return told
	chosen = [tuple(name.split('.', 1)) if '.' in name else ('public', name) for name in names]
	for name in chosen:
		if name not in told:
			raise Refused('table "%s.%s" of the source has no option "changes"; ALTER FOREIGN TABLE ... OPTIONS (ADD changes \'new\')' % name)
	return chosen


def table_to_copy(source, target, name):
	table = Table(target, name)
	source.execute('''
		SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
		ORDER BY attnum''', ('"%s"."%s"' % tuple(part.replace('"', '""') for part in name),))
	columns = [row[0] for row in source.fetchall()]
	table.columns_of(columns)
	target.execute(sql.SQL('SELECT FROM {} LIMIT 1').format(table.identifier))
	if target.fetchone() is not None:
		raise Refused('table "%s.%s" of the target has rows; TRUNCATE it' % name)
	return table, sql.SQL(', ').join(map(sql.Identifier, columns))


def copy_rows(source, target, name):
	"""Through a pipe, with a thread at its other end: rows may be more than memory has room for."""
	table, listed = table_to_copy(source, target, name)
	reader, writer = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ('rb', 'wb')))
	failure = []

	def read():
		try:
			source.copy_expert(sql.SQL('COPY (SELECT {} FROM {}) TO STDOUT').format(listed, table.identifier), writer)
		except Exception as error: # it is raised where it is waited for
			failure.append(error)
		finally:
			try:
				writer.close()
			except OSError:
				pass

	thread = threading.Thread(target=read)
	thread.start()
	try:
		target.copy_expert(sql.SQL('COPY {} ({}) FROM STDIN').format(table.identifier, listed), reader)
	finally:
		reader.close()
		thread.join()
	if failure:
		raise failure[0]
	return target.rowcount


def begin_following(arguments, target):
	"""Slot, snapshot, copy: the rows and the position they are of, in one transaction of the target."""
	cursor = target.cursor()
	source = connect(arguments.source)
	source.autocommit = True
	reading = source.cursor()
	tables = choose_tables(reading, arguments.table)
	if not tables:
		raise Refused('no table of the source has the option "changes"')

	# That a slot of this name is ours is known before it is made.
	cursor.execute('INSERT INTO follow.position (slot) VALUES (%s) ON CONFLICT DO NOTHING', (arguments.slot,))
	if cursor.rowcount == 0:
		reading.execute('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s', (arguments.slot,))
	target.commit()
	reading.execute('SELECT FROM pg_publication WHERE pubname = %s', (arguments.slot,))
	if reading.fetchone() is None:
		reading.execute(sql.SQL('CREATE PUBLICATION {}').format(sql.Identifier(arguments.slot)))

	making = psycopg2.connect(arguments.source, connection_factory=psycopg2.extras.LogicalReplicationConnection)
	slot = making.cursor()
	slot.execute('CREATE_REPLICATION_SLOT "%s" LOGICAL pgoutput EXPORT_SNAPSHOT' % arguments.slot)
	_, position, snapshot, _ = slot.fetchone()
	source.autocommit = False
	reading.execute('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
	reading.execute(sql.SQL('SET TRANSACTION SNAPSHOT {}').format(sql.Literal(snapshot)))
	making.close()
	if is_superuser(cursor):
		cursor.execute('SET LOCAL session_replication_role = replica')
	for name in tables:
		say('%s.%s: %d rows' % (name + (copy_rows(reading, cursor, name),)))
	cursor.execute('UPDATE follow.position SET position = %s, at = now() WHERE slot = %s', (position, arguments.slot))
	target.commit()
	source.close()
	return number_of(position)


def position_of(arguments, target):
	"""Where to go on; None: it has not begun."""
	cursor = target.cursor()
	cursor.execute("SELECT to_regclass('follow.position') IS NULL")
	if cursor.fetchone()[0]:
		cursor.execute('CREATE SCHEMA IF NOT EXISTS follow; CREATE TABLE follow.position (slot name PRIMARY KEY, position pg_lsn, at timestamptz)')
	target.commit()
	cursor.execute('SELECT position FROM follow.position WHERE slot = %s', (arguments.slot,))
	row = cursor.fetchone()
	target.commit()
	return number_of(row[0]) if row is not None and row[0] is not None else None


# ---------------------------------------------------------------- following


class Follower:
	def __init__(self, arguments, target, position, until):
		self.arguments = arguments
		connection = psycopg2.connect(arguments.source, connection_factory=psycopg2.extras.LogicalReplicationConnection,
			application_name='nvmkv_follow', options='-c client_encoding=UTF8')
		self.cursor = connection.cursor()
		codec = psycopg2.extensions.encodings.get(connection.get_parameter_status('server_encoding'), 'utf-8')
		self.applier = Applier(target, arguments.slot, codec)
		self.position = position # applied in the target for good
		self.until = until
		self.in_transaction = False
		self.skipping = False
		self.told = 0
		self.told_at = 0.0
		self.cursor.start_replication(slot_name=arguments.slot, start_lsn=lsn(position), decode=False,
			options={'proto_version': '1', 'publication_names': '"%s"' % arguments.slot, 'messages': 'true'})

	def tell(self, reply=False):
		self.cursor.send_feedback(write_lsn=self.position, flush_lsn=self.position, apply_lsn=self.position, reply=reply, force=True)
		self.told = self.position
		self.told_at = time.monotonic()

	def take(self, data):
		kind = data[0:1]
		if kind == b'B':
			self.in_transaction = True
			self.skipping = struct.unpack_from('>Q', data, 1)[0] < self.position
		elif kind == b'M' and not self.skipping:
			end = data.index(b'\0', 10)
			if data[10:end] == PREFIX:
				size = struct.unpack_from('>I', data, end + 1)[0]
				self.applier.take(bytes(data[end + 5:end + 5 + size]))
		elif kind == b'C':
			end = struct.unpack_from('>Q', data, 10)[0]
			if not self.skipping:
				self.applier.commit(end)
			self.position = max(self.position, end)
			self.in_transaction = False

	def run(self):
		while not stopping:
			message = self.cursor.read_message()
			if message is not None:
				self.take(message.payload)
				if time.monotonic() - self.told_at > FEEDBACK_SECONDS:
					self.tell()
				continue
			# All before what the server has reached is applied, or of transactions that are yet to come.
			if not self.in_transaction and self.cursor.wal_end > self.position:
				self.position = self.cursor.wal_end
			if self.until is not None and not self.in_transaction and self.position >= self.until:
				self.tell()
				return
			# An answer says how far the server is; who asks for it too often does nothing else.
			pause = 0.05 if self.until is not None else FEEDBACK_SECONDS
			if self.position > self.told or time.monotonic() - self.told_at >= pause:
				self.tell(reply=self.until is not None)
			select.select([self.cursor], [], [], min(pause, 1.0))


def follow(arguments):
	target = connect(arguments.target)
	try:
		position = position_of(arguments, target)
		if position is None:
			position = begin_following(arguments, target)
		until = None
		if arguments.once:
			source = connect(arguments.source)
			source.autocommit = True
			with source.cursor() as cursor:
				# A commit that is written through brings what others have committed without waiting along.
				cursor.execute("SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'nvmkv_follow', '')")
				cursor.execute('SELECT pg_current_wal_flush_lsn()')
				until = number_of(cursor.fetchone()[0])
			source.close()
		follower = Follower(arguments, target, position, until)
		try:
			follower.run()
		finally:
			follower.cursor.connection.close()
	finally:
		target.close()


def drop(arguments):
	source = connect(arguments.source)
	source.autocommit = True
	with source.cursor() as cursor:
		cursor.execute('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s', (arguments.slot,))
		cursor.execute(sql.SQL('DROP PUBLICATION IF EXISTS {}').format(sql.Identifier(arguments.slot)))
	source.close()
	target = connect(arguments.target)
	with target.cursor() as cursor:
		position_of(arguments, target)
		cursor.execute('DELETE FROM follow.position WHERE slot = %s', (arguments.slot,))
	target.commit()
	target.close()


def stop(number, frame):
	global stopping
	stopping = True


class Parser(argparse.ArgumentParser):
	def error(self, message):
		self.exit(2, 'follow.py: %s\n' % message)

	def format_help(self):
		with open(__file__) as script:
			lines = script.read().split('\n')[1:]
		return '\n'.join(line[2:] for line in lines[:next(i for i, line in enumerate(lines) if not line.startswith('#'))]) + '\n'


def main():
	parser = Parser()
	parser.add_argument('--source', required=True)
	parser.add_argument('--target', required=True)
	parser.add_argument('--slot', default='nvmkv_follow')
	parser.add_argument('--table', action='append', default=[])
	parser.add_argument('--once', action='store_true')
	parser.add_argument('--drop', action='store_true')
	arguments = parser.parse_args()
	signal.signal(signal.SIGTERM, stop)
	signal.signal(signal.SIGINT, stop)
	pause = 0.5
	while not stopping:
		began = time.monotonic()
		try:
			(drop if arguments.drop else follow)(arguments)
			return 0
		except Refused as refusal:
			say(str(refusal))
			return 1
		except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
			# Of either side, or of the way there: it comes back.
			say(str(error).strip().split('\n')[0] + '; trying again')
			pause = 0.5 if time.monotonic() - began > 60 else min(pause * 2, 30)
			deadline = time.monotonic() + pause
			while not stopping and time.monotonic() < deadline:
				time.sleep(0.1)
		except psycopg2.Error as error:
			say(str(error).strip())
			return 1
	return 0


if __name__ == '__main__':
	sys.exit(main())
