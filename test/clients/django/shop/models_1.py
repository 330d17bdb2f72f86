"""The models as they were at first; models_2.py is what became of them."""
import uuid

from django.contrib.postgres.fields import ArrayField, DateRangeField
from django.db import models


class Author(models.Model):
	name = models.CharField(max_length=50, unique=True)
	email = models.EmailField(blank=True)
	born = models.DateField(null=True)


class Tag(models.Model):
	id = models.UUIDField(primary_key=True, default=uuid.uuid4)
	slug = models.SlugField(unique=True)

	class Meta:
		ordering = ["slug"]


class Book(models.Model):
	title = models.CharField(max_length=60)
	author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
	tags = models.ManyToManyField(Tag)
	price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
	published = models.DateField(null=True, db_index=True)
	pages = models.PositiveIntegerField(default=1)
	note = models.TextField(default="")
	words = ArrayField(models.CharField(max_length=10), default=list)
	facts = models.JSONField(default=dict)
	lent = DateRangeField(null=True)

	class Meta:
		unique_together = [("title", "author")]
		index_together = [("published", "pages")]
		constraints = [models.CheckConstraint(check=models.Q(price__gte=0), name="price_is_no_debt")]


class Novel(Book):
	genre = models.CharField(max_length=20)


class Stock(models.Model):
	book = models.OneToOneField(Book, on_delete=models.PROTECT, primary_key=True)
	number = models.IntegerField()
	former = models.FloatField(null=True)


class Leaf(models.Model):
	parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
	name = models.CharField(max_length=20)
