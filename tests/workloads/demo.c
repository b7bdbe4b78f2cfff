/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo SECONDS - something to look at: sorts numbers, counts words in a hash table and multiplies matrices, for five
 * seconds in all. An ordinary optimised build without frame pointers.
 */
#include <string.h>

#include "work.h"

enum { NUMBERS = 200000, MATRIX = 160, WORDS = 100000, BUCKETS = 1 << 12 };

struct word {
	char text[16];
	unsigned count;
	struct word *next;
};

static int compare_numbers(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	return (a > b) - (a < b);
}

WORK void sort_numbers(int *numbers)
{
	for (int i = 0; i < NUMBERS; i++)
		numbers[i] = (int)random_below(1000000000);
	qsort(numbers, NUMBERS, sizeof(numbers[0]), compare_numbers);
}

WORK void multiply_matrices(double *restrict result, const double *left, const double *right)
{
	for (int row = 0; row < MATRIX; row++) {
		for (int column = 0; column < MATRIX; column++) {
			double sum = 0;

			for (int i = 0; i < MATRIX; i++)
				sum += left[row * MATRIX + i] * right[i * MATRIX + column];
			result[row * MATRIX + column] = sum;
		}
	}
}

WORK unsigned hash_word(const char *text)
{
	unsigned hash = 5381;

	for (; *text; text++)
		hash = hash * 33 ^ (unsigned char)*text;
	return hash;
}

WORK void count_word(struct word **table, const char *text)
{
	struct word **slot = &table[hash_word(text) % BUCKETS];
	struct word *word;

	for (word = *slot; word; word = word->next) {
		if (!strcmp(word->text, text)) {
			word->count++;
			return;
		}
	}
	word = calloc(1, sizeof(*word));
	if (!word)
		abort();
	strcpy(word->text, text);
	word->next = *slot;
	*slot = word;
}

WORK void count_words(struct word **table)
{
	char text[16];

	for (int i = 0; i < WORDS; i++) {
		snprintf(text, sizeof(text), "word%u", random_below(20000));
		count_word(table, text);
	}
}

int main(int argc, char **argv)
{
	static struct word *table[BUCKETS];
	static double matrices[3][MATRIX * MATRIX];
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + seconds_argument(argc, argv, 5);
	int *numbers = calloc(NUMBERS, sizeof(numbers[0]));

	if (!numbers)
		return 2;
	for (int i = 0; i < MATRIX * MATRIX; i++)
		matrices[0][i] = matrices[1][i] = (double)(i % 17);
	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		sort_numbers(numbers);
		count_words(table);
		for (int i = 0; i < 3; i++)
			multiply_matrices(matrices[2], matrices[0], matrices[1]);
	}
	free(numbers);
	return 0;
}
