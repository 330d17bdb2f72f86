"""An application on SQLAlchemy's ORM, for scripts/client_tests.sh: prints steps, and what it saw in each."""
import datetime
import decimal
import enum
import os

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import relationship

import steps
from steps import step

Base = orm.declarative_base()


class Mood(enum.Enum):
	glad = 1
	sad = 2


tagged = sa.Table(
	"tagged",
	Base.metadata,
	sa.Column("post_id", sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
	sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
)


class User(Base):
	__tablename__ = "users"
	id = sa.Column(sa.Integer, primary_key=True)
	name = sa.Column(sa.String(40), nullable=False, unique=True)
	email = sa.Column(sa.Text, index=True)
	mood = sa.Column(sa.Enum(Mood), server_default="glad")
	born = sa.Column(sa.Date)
	balance = sa.Column(sa.Numeric(10, 2), nullable=False, server_default="0")
	made = sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now())
	active = sa.Column(sa.Boolean, default=True)
	posts = relationship("Post", back_populates="author", cascade="all, delete-orphan", order_by="Post.id")
	__table_args__ = (sa.CheckConstraint("balance >= 0", name="balance_is_no_debt"), {"comment": "who writes"})


class Post(Base):
	__tablename__ = "posts"
	id = sa.Column(sa.BigInteger, sa.Identity(start=100, increment=2), primary_key=True)
	author_id = sa.Column(sa.ForeignKey("users.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), nullable=False)
	parent_id = sa.Column(sa.ForeignKey("posts.id", ondelete="SET NULL"))
	title = sa.Column(sa.String(100), comment="shown above")
	body = sa.Column(sa.Text)
	words = sa.Column(pg.ARRAY(sa.Text))
	extra = sa.Column(pg.JSONB)
	version = sa.Column(sa.Integer, nullable=False)
	length = sa.Column(sa.Integer, sa.Computed("length(body)", persisted=True))
	author = relationship("User", back_populates="posts")
	replies = relationship("Post", backref=orm.backref("parent", remote_side=[id]))
	tags = relationship("Tag", secondary=tagged, back_populates="posts", order_by="Tag.name")
	__mapper_args__ = {"version_id_col": version}
	__table_args__ = (
		sa.UniqueConstraint("author_id", "title", name="one_title"),
		sa.Index("by_title", sa.text("lower(title)")),
		sa.Index("only_replies", "parent_id", postgresql_where=sa.text("parent_id IS NOT NULL")),
		sa.Index("newest", sa.text("id DESC"), "author_id", postgresql_include=["title"]),
	)


class Tag(Base):
	__tablename__ = "tags"
	id = sa.Column(pg.UUID(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid())
	name = sa.Column(sa.Text, unique=True)
	posts = relationship("Post", secondary=tagged, back_populates="tags")


# Joined-table inheritance: one object, a row in each of two tables.
class Vehicle(Base):
	__tablename__ = "vehicles"
	id = sa.Column(sa.Integer, primary_key=True)
	kind = sa.Column(sa.String(10))
	name = sa.Column(sa.Text)
	__mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "vehicle"}


class Car(Vehicle):
	__tablename__ = "cars"
	id = sa.Column(sa.ForeignKey("vehicles.id"), primary_key=True)
	doors = sa.Column(sa.Integer)
	__mapper_args__ = {"polymorphic_identity": "car"}


# A composite key and one that refers to it.
class Line(Base):
	__tablename__ = "lines"
	order_no = sa.Column(sa.Integer, primary_key=True)
	line_no = sa.Column(sa.SmallInteger, primary_key=True)
	amount = sa.Column(sa.Float)


class Delivery(Base):
	__tablename__ = "deliveries"
	id = sa.Column(sa.Integer, primary_key=True)
	order_no = sa.Column(sa.Integer)
	line_no = sa.Column(sa.SmallInteger)
	line = relationship("Line")
	__table_args__ = (
		sa.ForeignKeyConstraint(["order_no", "line_no"], ["lines.order_no", "lines.line_no"], onupdate="CASCADE", name="of_line"),
	)


engine = sa.create_engine("postgresql+psycopg2://", future=True)
Session = orm.sessionmaker(engine, future=True)


def error_of(function):
	steps.error_of(function, sa.exc.DBAPIError, lambda error: error.orig)


def rows(statement):
	with engine.connect() as connection:
		for row in connection.execute(sa.text(statement) if isinstance(statement, str) else statement):
			print(*row, sep="|")


@step("create_all")
def _():
	Base.metadata.create_all(engine)
	Base.metadata.create_all(engine)


@step("kinds of tables")
def _():
	rows("SELECT relkind, count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'f') GROUP BY relkind")


@step("objects are stored")
def _():
	with Session.begin() as session:
		ann = User(name="ann", email="ann@example.org", born=datetime.date(1990, 1, 2), balance=decimal.Decimal("12.50"))
		bob = User(name="bob", mood=Mood.sad)
		red, blue = Tag(name="red"), Tag(name="blue")
		first = Post(author=ann, title="first", body="one two", words=["one", "two"], extra={"a": [1, None]}, tags=[red, blue])
		Post(author=bob, title="answer", body="three", parent=first, tags=[blue])
		Post(author=ann, title="second", body=None)
		session.add_all([ann, bob, Car(name="van", doors=5), Vehicle(name="sled")])
		session.flush()
		print(ann.id, ann.mood, ann.made is not None, first.id, first.length, first.version, len(red.id))
		session.add_all([Line(order_no=1, line_no=n, amount=n / 2) for n in range(1, 4)])
		session.add(Delivery(order_no=1, line_no=2))


@step("objects are found")
def _():
	with Session() as session:
		for post in session.scalars(sa.select(Post).options(orm.selectinload(Post.tags), orm.joinedload(Post.author)).order_by(Post.id)):
			print(post.id, post.author.name, post.title, [tag.name for tag in post.tags], post.words, post.extra, post.length)
		print(session.get(User, 1).posts[0].replies[0].title, session.get(Line, (1, 3)).amount)
		print([(type(v).__name__, v.name) for v in session.scalars(sa.select(Vehicle).order_by(Vehicle.id))])
		print(session.scalar(sa.select(Car.doors).where(Car.name == "van")))
		count = sa.func.count(Post.id)
		query = sa.select(User.name, count).join(Post, isouter=True).group_by(User.name).having(count > 1)
		print(session.execute(query).all())
		above = sa.select(Post.id, sa.func.row_number().over(partition_by=Post.author_id, order_by=Post.id.desc())).order_by(Post.id)
		print(session.execute(above).all())
		tree = sa.select(Post.id, sa.literal(0).label("depth")).where(Post.parent_id.is_(None)).cte(recursive=True)
		tree = tree.union_all(sa.select(Post.id, tree.c.depth + 1).join(tree, Post.parent_id == tree.c.id))
		print(session.execute(sa.select(tree).order_by(tree.c.id)).all())
		print(session.scalars(sa.select(Post.title).where(Post.extra["a"][0].as_integer() == 1)).all())
		print(session.scalars(sa.select(Post.title).where(Post.words.any("two"))).all())
		print(session.scalar(sa.select(sa.exists().where(Post.title.ilike("FIR%")))))


@step("objects are changed")
def _():
	with Session.begin() as session:
		post = session.scalar(sa.select(Post).where(Post.title == "first"))
		post.body = "one two three"
		post.author.name = "anna"
		session.flush()
		session.refresh(post)
		print(post.version, post.length)
		line = session.get(Line, (1, 2))
		line.line_no = 20
	rows("SELECT order_no, line_no FROM deliveries")
	with Session() as one, Session() as two:
		mine, yours = one.get(Post, 100), two.get(Post, 100)
		mine.title = "first of all"
		one.commit()
		yours.title = "too late"
		try:
			two.commit()
			print("FAILED: no error")
		except orm.exc.StaleDataError as error:
			print(error)


@step("constraints")
def _():
	def add(thing):
		def run():
			with Session.begin() as session:
				session.add(thing)

		return run

	error_of(add(User(name="bob")))
	error_of(add(User(name=None)))
	error_of(add(User(name="eve", balance=-1)))
	error_of(add(User(name="x" * 41)))
	error_of(add(Post(author_id=999, title="nobody's")))
	error_of(add(Post(author_id=1, title="second")))
	error_of(add(Delivery(order_no=7, line_no=7)))
	with Session() as session:
		session.add(Post(author_id=77, title="of one to come"))
		session.flush()
		session.add(User(id=77, name="one to come"))
		session.commit()


@step("cascades")
def _():
	with Session.begin() as session:
		session.delete(session.get(User, 77))
	with Session.begin() as session:
		session.execute(sa.delete(Post).where(Post.id == 100))
		session.expire_all()
	rows("SELECT title, parent_id FROM posts ORDER BY id")
	rows("SELECT count(*) FROM tagged")


@step("ON CONFLICT and RETURNING")
def _():
	with engine.begin() as connection:
		insert = pg.insert(User).values([{"name": "bob", "balance": 1}, {"name": "carl", "balance": 2}])
		print(connection.execute(insert.on_conflict_do_nothing().returning(User.name)).all())
		insert = pg.insert(User).values([{"name": "bob", "balance": 5}, {"name": "dora", "balance": 6}])
		insert = insert.on_conflict_do_update(
			index_elements=[User.name], set_={"balance": User.balance + insert.excluded.balance}, where=User.balance < 100
		)
		print(connection.execute(insert.returning(User.name, User.balance)).all())
		insert = pg.insert(Post).values(author_id=2, title="answer", version=1)
		print(connection.execute(insert.on_conflict_do_update(constraint="one_title", set_={"body": "again"}).returning(Post.length)).all())
		print(connection.execute(sa.update(User).where(User.name == "carl").values(balance=3).returning(User.balance)).all())
		print(connection.execute(sa.delete(User).where(User.name == "dora").returning(User.name)).all())
		moved = sa.update(Post).where(Post.author_id == User.id, User.name == "anna").values(extra={"moved": True}).returning(Post.title)
		print(connection.execute(moved).all())


@step("many rows")
def _():
	with Session.begin() as session:
		session.bulk_insert_mappings(User, [{"name": f"user {n}", "balance": n} for n in range(2000)])
	with Session.begin() as session:
		session.bulk_update_mappings(User, [{"id": i, "email": f"{i}@x"} for i, in session.execute(sa.select(User.id)).all()])
		print(session.execute(sa.update(User).where(User.balance > 1500).values(active=False)).rowcount)
	with engine.connect().execution_options(stream_results=True, max_row_buffer=100) as connection:
		result = connection.execute(sa.select(User.id, User.email).order_by(User.id))
		print(sum(len(part) for part in result.partitions(64)))
	with Session() as session:
		print(sum(1 for _ in session.scalars(sa.select(User).order_by(User.name).execution_options(yield_per=50))))
		print(session.scalars(sa.select(User.name).order_by(User.id.desc()).limit(3).offset(5)).all())


@step("transactions")
def _():
	with Session() as session:
		session.add(User(name="kept"))
		session.flush()
		try:
			with session.begin_nested():
				session.add(User(name="kept"))
				session.flush()
		except sa.exc.IntegrityError:
			print("rolled back to the savepoint")
		session.commit()
	with Session() as session:
		session.add(User(name="gone"))
		session.flush()
		session.rollback()
	rows("SELECT name FROM users WHERE name IN ('kept', 'gone')")
	for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT"):
		with engine.connect().execution_options(isolation_level=level) as connection:
			connection.execute(sa.text("UPDATE users SET active = true WHERE name = 'kept'"))
			with engine.begin() as other:
				other.execute(sa.text("UPDATE users SET active = false WHERE name = 'anna'"))
			try:
				connection.execute(sa.text("UPDATE users SET email = 'x' WHERE name = 'anna'"))
				print(level, "updated")
			except sa.exc.OperationalError as error:
				print(level, error.orig.pgcode)
			connection.rollback()


@step("locks")
def _():
	with Session() as one, Session() as two:
		one.execute(sa.select(User).where(User.name == "bob").with_for_update())
		error_of(lambda: two.execute(sa.select(User).where(User.name == "bob").with_for_update(nowait=True)))
		two.rollback()
		some = sa.select(User.name).where(User.name.in_(["bob", "carl"])).order_by(User.name)
		print(two.scalars(some.with_for_update(skip_locked=True)).all())
		print(two.scalars(some.with_for_update(key_share=True, skip_locked=True)).all())
		print(two.scalars(some.with_for_update(read=True, skip_locked=True, of=User)).all())


@step("two phases")
def _():
	connection = engine.connect()
	transaction = connection.begin_twophase("of orm.py " + os.environ["PGUSER"])
	connection.execute(sa.insert(User).values(name="prepared"))
	transaction.prepare()
	print(transaction.xid in connection.recover_twophase())
	transaction.commit()
	transaction = connection.begin_twophase()
	connection.execute(sa.insert(User).values(name="given up"))
	transaction.prepare()
	transaction.rollback()
	connection.close()
	rows("SELECT name FROM users WHERE name IN ('prepared', 'given up')")


@step("tables that are listed")
def _():
	inspector = sa.inspect(engine)
	print("tables:", sorted(inspector.get_table_names()))
	print("foreign tables:", sorted(inspector.get_foreign_table_names()))


@step("tables, one by one")
def _():
	inspector = sa.inspect(engine)
	print(sorted(inspector.get_view_names()), inspector.has_table("users"), inspector.has_table("nobody"))
	for table in sorted(Base.metadata.tables):
		print(table, inspector.get_table_comment(table))
		for column in inspector.get_columns(table):
			print("  column", *(f"{key}={value!r}" for key, value in sorted(column.items())))
		print("  key", sorted(inspector.get_pk_constraint(table).items()))
		for kind in ("foreign_keys", "indexes", "unique_constraints", "check_constraints"):
			for one in getattr(inspector, "get_" + kind)(table):
				print(" ", kind, sorted(one.items()))
	for one in inspector.get_enums():
		print(one)


@step("reflection")
def _():
	meta = sa.MetaData()
	users = sa.Table("users", meta, autoload_with=engine)
	posts = sa.Table("posts", meta, autoload_with=engine)
	print(sorted(meta.tables), [key.target_fullname for key in sorted(posts.foreign_keys, key=lambda k: k.parent.name)])
	with engine.connect() as connection:
		print(connection.execute(sa.select(users.c.name, posts.c.title).join(posts, users.c.id == posts.c.author_id).order_by("title")).all())


@step("reflection of all tables")
def _():
	meta = sa.MetaData()
	meta.reflect(engine)
	for table in sorted(meta.tables):
		print(table)


# The way round, see doc/limits.md.
@step("reflection of tables and foreign tables")
def _():
	meta = sa.MetaData()
	for name in sa.inspect(engine).get_foreign_table_names() + sa.inspect(engine).get_table_names():
		sa.Table(name, meta, autoload_with=engine)
	for table in meta.sorted_tables:
		print(table.name, [index.name for index in sorted(table.indexes, key=lambda index: index.name)])


@step("automap")
def _():
	from sqlalchemy.ext.automap import automap_base

	meta = sa.MetaData()
	for name in ("users", "posts", "tagged", "tags"):
		sa.Table(name, meta, autoload_with=engine)
	Auto = automap_base(metadata=meta)
	Auto.prepare()
	with Session() as session:
		bob = session.scalar(sa.select(Auto.classes.users).filter_by(name="bob"))
		print([post.title for post in bob.posts_collection], [tag.name for tag in bob.posts_collection[0].tags_collection])


@step("changes of tables")
def _():
	with engine.begin() as connection:
		for statement in (
			"ALTER TABLE users ADD COLUMN nick varchar(20) DEFAULT 'none' NOT NULL",
			"ALTER TABLE users ALTER COLUMN nick TYPE text",
			"ALTER TABLE users RENAME COLUMN nick TO called",
			"ALTER TABLE users ADD CONSTRAINT called_once UNIQUE (called, name)",
			"CREATE INDEX called_index ON users (called)",
			"ALTER TABLE users DROP CONSTRAINT called_once",
			"ALTER TABLE posts DROP CONSTRAINT posts_parent_id_fkey",
			"ALTER TABLE users RENAME TO people",
		):
			connection.execute(sa.text(statement))
	print(sa.Table("people", sa.MetaData(), autoload_with=engine).c.keys())
	rows("SELECT called, count(*) FROM people GROUP BY called")
	with engine.begin() as connection:
		connection.execute(sa.text("ALTER TABLE people RENAME TO users"))


@step("drop_all")
def _():
	Base.metadata.drop_all(engine)
	rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
	rows("SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1")
