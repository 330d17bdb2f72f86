"""Tests of the application, for Django's test runner, which makes a database of its own."""
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase, skipUnlessDBFeature

from .models import Author, Book, Log


class Within(TestCase):
	fixtures = ["dump.json"]

	@classmethod
	def setUpTestData(cls):
		cls.author = Author.objects.create(name="of all tests")

	def test_fixture(self):
		self.assertEqual(Book.objects.filter(author__name="author 4").count(), 5)

	def test_own_rows(self):
		Book.objects.create(title="a", author=self.author)
		self.assertEqual(self.author.books.count(), 1)

	def test_others_rows_are_gone(self):
		self.assertEqual(self.author.books.count(), 0)

	def test_kind(self):
		with connection.cursor() as cursor:
			cursor.execute("SHOW default_table_access_method")
			kind = {"heap": "r", "nvmkv": "f"}[cursor.fetchone()[0]]
			cursor.execute("SELECT relkind::text FROM pg_class WHERE relname = 'shop_book'")
			self.assertEqual(cursor.fetchone()[0], kind)


class Committed(TransactionTestCase):
	reset_sequences = True

	def test_first_number(self):
		self.assertEqual(Author.objects.create(name="x").pk, 1)

	def test_first_number_again(self):
		self.assertEqual(Author.objects.create(name="x").pk, 1)

	@skipUnlessDBFeature("has_select_for_update")
	def test_rollback(self):
		with self.assertRaises(KeyError), transaction.atomic():
			Log.objects.create(what="gone")
			raise KeyError
		self.assertFalse(Log.objects.exists())
