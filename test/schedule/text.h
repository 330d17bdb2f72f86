/*
 * text.h
 *	  A string that grows.  All zero is an empty one without memory; its bytes then are not there, so text_init.
 *	  Without memory the program ends.
 */
#ifndef NVMKV_SCHEDULE_TEXT_H
#define NVMKV_SCHEDULE_TEXT_H

#include <stddef.h>

typedef struct Text
{
	char *data; /* ends with a zero */
	size_t length;
	size_t room;
} Text;

extern void text_init(Text *text);
extern void text_clear(Text *text);
extern void text_free(Text *text);
extern void text_add(Text *text, const char *string);
extern void text_add_char(Text *text, char c);
extern void text_addf(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sorts its lines. */
extern void text_sort_lines(Text *text);

#endif
