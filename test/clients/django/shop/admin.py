from django.contrib import admin

from . import models


@admin.register(models.Book)
class BookAdmin(admin.ModelAdmin):
	list_display = ["title", "author"]
	list_filter = ["author"]
	search_fields = ["title"]
	date_hierarchy = "published"


admin.site.register(models.Author)
