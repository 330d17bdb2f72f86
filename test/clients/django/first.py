"""Rows of the first models: manage.py shell."""
import datetime

from shop.models import Author, Book, Leaf, Novel, Stock, Tag

authors = Author.objects.bulk_create(
	Author(name=f"author {n}", email=f"{n}@example.org", born=datetime.date(1900 + n, 1, 2)) for n in range(20)
)
tags = [Tag.objects.create(id=f"00000000-0000-0000-0000-{n:012}", slug=f"tag-{n}") for n in range(5)]
for n in range(100):
	book = (Novel if n % 3 == 0 else Book)(
		title=f"book {n}",
		author=authors[n % 20],
		price=n * 1.5,
		pages=n * 10,
		words=["a", str(n)],
		facts={"n": n},
		published=datetime.date(2000, 1, 1) + datetime.timedelta(n),
		lent=(datetime.date(2020, 1, 1), datetime.date(2020, 1, 1 + n % 28 + 1)),
		**({"genre": "crime"} if n % 3 == 0 else {}),
	)
	book.save()
	book.tags.set(tags[: n % 5])
	Stock.objects.create(book_id=book.pk, number=n, former=n / 2)
root = Leaf.objects.create(name="root")
for n in range(5):
	Leaf.objects.create(name=f"leaf {n}", parent=root)
print(Author.objects.count(), Book.objects.count(), Novel.objects.count(), Book.tags.through.objects.count())
