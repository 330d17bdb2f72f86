"""What became of the models of models_1.py: fields that are wider, narrower, of other types, new, renamed and gone; indexes
and constraints of all kinds that a B-tree has."""
import uuid

from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.contrib.postgres.indexes import BTreeIndex
from django.db import models


class Author(models.Model):
	name = models.CharField(max_length=200, unique=True)
	email = models.EmailField(blank=True, db_index=True)
	born = models.DateTimeField(null=True)
	rank = models.SmallIntegerField(default=7)
	made = models.DateTimeField(auto_now_add=True, null=True)


class Tag(models.Model):
	id = models.UUIDField(primary_key=True, default=uuid.uuid4)
	slug = models.SlugField(max_length=80, unique=True)
	above = models.ForeignKey("self", null=True, on_delete=models.CASCADE)

	class Meta:
		ordering = ["slug"]


class Book(models.Model):
	title = models.CharField(max_length=60)
	author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
	tags = models.ManyToManyField(Tag)
	price = models.DecimalField(max_digits=12, decimal_places=3, default=0)
	published = models.DateField(null=True)
	pages = models.BigIntegerField(default=1)
	note = models.CharField(max_length=1000, default="")
	words = ArrayField(models.TextField(), default=list)
	facts = models.JSONField(default=dict)
	lent = DateRangeField(null=True)
	editor = models.ForeignKey(Author, null=True, on_delete=models.SET_NULL, related_name="edited")

	class Meta:
		constraints = [
			models.UniqueConstraint(fields=["title", "author"], name="one_title", deferrable=models.Deferrable.DEFERRED),
			models.UniqueConstraint(fields=["title"], condition=models.Q(pages__gt=900), name="one_thick_one"),
			models.UniqueConstraint(fields=["author", "published"], include=["title"], name="one_a_day"),
			models.CheckConstraint(check=models.Q(price__gte=0), name="price_is_no_debt"),
			models.CheckConstraint(check=models.Q(pages__gte=0), name="pages_are_counted"),
		]
		indexes = [
			models.Index(fields=["-published", "pages"], name="newest"),
			models.Index(fields=["title"], name="titles_like", opclasses=["varchar_pattern_ops"]),
			models.Index(fields=["pages"], include=["title"], name="pages_and_title"),
			BTreeIndex(fields=["price"], name="dear", fillfactor=80, condition=models.Q(price__gt=100)),
		]


class Novel(Book):
	genre = models.CharField(max_length=20)


class Stock(models.Model):
	book = models.OneToOneField(Book, on_delete=models.PROTECT, primary_key=True)
	count = models.IntegerField()


class Leaf(models.Model):
	id = models.AutoField(primary_key=True)
	parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE)
	name = models.CharField(max_length=20, db_index=True)


class Log(models.Model):
	at = models.DateTimeField(auto_now=True)
	what = models.CharField(max_length=20)

	class Meta:
		db_table = "shop log"
