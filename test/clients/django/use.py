"""What an application does: manage.py shell."""
import datetime
import threading

from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.db import Error, connection, models, transaction
from django.db.models import Avg, Case, Count, Exists, F, Max, OuterRef, Prefetch, Q, Subquery, Sum, Value, When, Window
from django.db.models.functions import Coalesce, Concat, Lower, RowNumber, TruncMonth
from django.test import Client

from shop.models import Author, Book, Leaf, Log, Novel, Stock, Tag
import steps
from steps import step


def error_of(function):
	steps.error_of(function, Error, lambda error: error.__cause__)


@step("queries")
def _():
	print(Book.objects.filter(author__name="author 3").order_by("title").values_list("title", "price", "pages"))
	print(Author.objects.annotate(n=Count("books"), most=Max("books__pages")).order_by("name").values_list("name", "n", "most")[:5])
	print(Book.objects.aggregate(Sum("price"), Avg("pages"), Count("author", distinct=True)))
	print(Book.objects.filter(tags__slug="tag-2").exclude(title__contains="9").distinct().count())
	print(Book.objects.filter(Q(title__startswith="book 1") | Q(pages__gt=950)).order_by("-pages").values_list("title", flat=True))
	print(Book.objects.filter(title__iexact="BOOK 7").get().title, Book.objects.filter(title__regex=r"^book \d$").count())
	print(Book.objects.filter(words__contains=["7"]).values_list("title"), Book.objects.filter(facts__n=8).values_list("title"))
	print(Book.objects.filter(lent__contains=datetime.date(2020, 1, 27)).count())
	window = Window(RowNumber(), partition_by=[F("author")], order_by=F("pages").desc())
	print(Book.objects.annotate(r=window).order_by("author__name", "r").values_list("title", "r")[:6])
	newest = Book.objects.filter(author=OuterRef("pk")).order_by("-published")
	print(Author.objects.annotate(newest=Subquery(newest.values("title")[:1])).order_by("pk").values_list("name", "newest")[:3])
	print(Author.objects.filter(Exists(newest.filter(pages__gt=900))).order_by("pk").values_list("name", flat=True))
	kind = Case(When(pages__lt=300, then=Value("thin")), default=Value("thick"))
	print(Book.objects.values(kind=kind).annotate(n=Count("*")).order_by("kind"))
	print(Book.objects.annotate(m=TruncMonth("published")).values("m").annotate(n=Count("pk")).order_by("m"))
	print(Book.objects.dates("published", "month"), Book.objects.latest("published").title)
	print(Book.objects.order_by("author", "-pages").distinct("author").values_list("title", flat=True)[:4])
	one, other = Book.objects.filter(pages__lt=30).values_list("title"), Book.objects.filter(pages__gt=970).values_list("title")
	print(sorted(one.union(other)), one.intersection(other).count())
	print([(a.name, [b.title for b in a.few]) for a in Author.objects.prefetch_related(
		Prefetch("books", Book.objects.filter(pages__gt=800).order_by("pk"), to_attr="few")).order_by("pk")[:3]])
	print(Novel.objects.select_related("author").order_by("pk")[0].author.name, Book.objects.get(title="book 3").novel.genre)
	print(Book.objects.in_bulk([1, 2]), Book.objects.only("title").get(pk=5).pages, Book.objects.filter(pk__in=[]).count())
	print(sum(1 for _ in Book.objects.order_by("pk").iterator(chunk_size=7)))
	print(Book.objects.raw("SELECT * FROM shop_book WHERE pages > %s ORDER BY pages", [980])[0].title)


@step("changes")
def _():
	print(Book.objects.filter(pages__lt=50).update(pages=F("pages") + 1, note=Concat(F("title"), Value("!"))))
	print(Book.objects.filter(author=Author.objects.get(name="author 1")).update(price=Coalesce(F("price"), 0) * 2))
	books = list(Book.objects.order_by("pk")[:10])
	for book in books:
		book.note = "changed"
	Book.objects.bulk_update(books, ["note"], batch_size=3)
	print(Book.objects.filter(note="changed").count())
	made = [Author(name=f"author {n}") for n in range(18, 23)]
	Author.objects.bulk_create(made, ignore_conflicts=True)
	print(Author.objects.count(), Author.objects.get_or_create(name="author 22")[1], Author.objects.get_or_create(name="author 23")[1])
	print(Author.objects.update_or_create(name="author 23", defaults={"rank": 9})[1])
	book = Book.objects.get(title="book 4")
	book.tags.add(Tag.objects.create(id="00000000-0000-0000-0000-000000000009", slug="new"))
	book.tags.remove(Tag.objects.get(slug="tag-1"))
	print(sorted(book.tags.values_list("slug", flat=True)))
	book.pk = None
	book.title, book.published = "copy", None
	book.save()
	print(Book.objects.count(), Book.objects.filter(title="copy").delete()[0])


@step("constraints")
def _():
	def within(function):
		def run():
			with transaction.atomic():
				function()

		return run

	error_of(within(lambda: Author.objects.create(name="author 1")))
	error_of(within(lambda: Book.objects.filter(pk=1).update(price=-1)))
	error_of(within(lambda: Book.objects.filter(pk=1).update(author=None)))
	error_of(within(lambda: Book.objects.filter(pk__in=[1, 2]).update(pages=1000, title="same")))
	error_of(within(lambda: Book.objects.filter(pk__in=[1, 21]).update(published="2001-01-01")))
	error_of(within(lambda: Book.objects.filter(pk=1).update(author_id=4711)))
	error_of(within(lambda: Book.objects.filter(pk__in=[1, 21]).update(title="twice")))
	try:
		Book.objects.get(title="book 5").delete()
	except models.ProtectedError as error:
		print(sorted(str(one) for one in error.protected_objects))
	with transaction.atomic():
		# Deferred: both hold at the end, and neither did in between.
		Book.objects.filter(pk=1).update(title="book 20", author_id=4711)
		Book.objects.filter(title="book 20").exclude(pk=1).update(title="book 0")
		Book.objects.filter(pk=1).update(author_id=1)
	print(Book.objects.filter(pk__in=[1, 21]).order_by("pk").values_list("title", flat=True))
	with transaction.atomic():
		Book.objects.filter(pk=1).update(author_id=4711)
		error_of(connection.check_constraints)
		transaction.set_rollback(True)


@step("deletions")
def _():
	Stock.objects.filter(book__author__name="author 2").delete()
	print(Author.objects.get(name="author 2").delete())
	print(Book.objects.filter(editor__isnull=False).count(), Leaf.objects.get(name="root").delete())


@step("transactions")
def _():
	with transaction.atomic():
		Log.objects.create(what="kept")
		try:
			with transaction.atomic():
				Log.objects.create(what="gone")
				raise KeyError
		except KeyError:
			pass
		point = transaction.savepoint()
		Log.objects.create(what="gone, too")
		transaction.savepoint_rollback(point)
		transaction.on_commit(lambda: print("committed"))
	print(Log.objects.values_list("what", flat=True))


@step("select_for_update")
def _():
	answers = []

	def other():
		for how in ({"nowait": True}, {"skip_locked": True}, {"skip_locked": True, "no_key": True, "of": ("self",)}):
			try:
				with transaction.atomic():
					books = Book.objects.select_for_update(**how).select_related("author").filter(pk__in=[1, 2]).order_by("pk")
					answers.append([book.title for book in books])
			except Exception as error:
				answers.append(error.__cause__.pgcode)
		connection.close()

	with transaction.atomic():
		Book.objects.select_for_update().get(pk=1)
		thread = threading.Thread(target=other)
		thread.start()
		thread.join()
	print(answers)


@step("contributed applications")
def _():
	user = User.objects.create_superuser("root", "root@example.org", "secret")
	group = Group.objects.create(name="readers")
	group.permissions.set(Permission.objects.filter(codename__startswith="view_"))
	user.groups.add(group)
	print(Permission.objects.filter(group__user=user).count(), user.has_perm("shop.add_book"))
	session = SessionStore()
	session["a"] = 1
	session.create()
	print(SessionStore(session.session_key)["a"])
	cache.set("k", [1, 2], 100)
	cache.set_many({"m": 1, "n": 2})
	print(cache.get("k"), cache.add("k", 3), cache.incr("m"), sorted(cache.get_many(["m", "n"]).items()), cache.delete("n"))
	client = Client()
	print(client.login(username="root", password="secret"))
	for path in ("", "shop/book/", "shop/book/?q=book+1&author__id__exact=1", "shop/book/1/change/", "shop/book/?published__year=2000"):
		print(path, client.get("/admin/" + path).status_code)
	answer = client.post("/admin/shop/author/add/", {"name": "by hand", "rank": 1, "email": "", "born_0": "2000-01-01", "born_1": "12:00"})
	print(answer.status_code, Author.objects.filter(name="by hand").exists())
	answer = client.post("/admin/shop/author/", {"action": "delete_selected", "_selected_action": [Author.objects.get(name="by hand").pk], "post": "yes"})
	print(answer.status_code, Author.objects.filter(name="by hand").exists())


@step("introspection")
def _():
	with connection.cursor() as cursor:
		for table in sorted(connection.introspection.get_table_list(cursor)):
			print(*table)
		for table in ("shop_author", "shop_book", "shop_book_tags", "shop_novel", "shop_stock", "shop_tag", "auth_permission"):
			print(table, connection.introspection.get_primary_key_column(cursor, table))
			for column in connection.introspection.get_table_description(cursor, table):
				print("  column", *(str(field) for field in (column.name, column.null_ok, column.default, column.type_code)))
			for name, one in sorted(connection.introspection.get_constraints(cursor, table).items()):
				print("  constraint", name, sorted(one.items(), key=lambda item: item[0]))
			for one in sorted(connection.introspection.get_relations(cursor, table).items()):
				print("  relation", one)
			for one in connection.introspection.get_sequences(cursor, table):
				print("  sequence", sorted(one.items()))
