/*
 * text.c
 *	  See text.h.
 */
#include "schedule/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void
no_memory(void)
{
	fprintf(stderr, "no memory\n");
	exit(2);
}

static void
make_room(Text *text, size_t more)
{
	size_t room = text->room == 0 ? 256 : text->room;

	while (room <= text->length + more)
		room *= 2;
	if (room == text->room)
		return;
	text->data = realloc(text->data, room);
	if (text->data == NULL)
		no_memory();
	text->room = room;
}

void
text_init(Text *text)
{
	*text = (Text) {0};
	make_room(text, 0);
	text->data[0] = '\0';
}

void
text_clear(Text *text)
{
	text->length = 0;
	text->data[0] = '\0';
}

void
text_free(Text *text)
{
	free(text->data);
	*text = (Text) {0};
}

void
text_add(Text *text, const char *string)
{
	size_t length = strlen(string);

	make_room(text, length);
	memcpy(text->data + text->length, string, length + 1);
	text->length += length;
}

void
text_add_char(Text *text, char c)
{
	make_room(text, 1);
	text->data[text->length++] = c;
	text->data[text->length] = '\0';
}

void
text_addf(Text *text, const char *format, ...)
{
	char *string;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&string, format, args);
	va_end(args);
	if (length < 0)
		no_memory();
	text_add(text, string);
	free(string);
}

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

void
text_sort_lines(Text *text)
{
	char *copy = strdup(text->data);
	char **lines = calloc(text->length + 1, sizeof(char *));
	size_t count = 0;
	char *rest = NULL;

	if (copy == NULL || lines == NULL)
		no_memory();
	for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		lines[count++] = line;
	qsort(lines, count, sizeof(char *), compare_lines);
	text_clear(text);
	for (size_t i = 0; i < count; i++)
		text_addf(text, "%s\n", lines[i]);
	free(lines);
	free(copy);
}
