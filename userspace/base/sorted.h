/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sorted.h - binary search: how many elements at the front of a sorted array does something hold for?
 *
 *     size_t nr = sorted_front(list.nr, i, list.data[i].start <= address);
 *
 * The condition is true for a front part of the array and false for the rest; i is declared here. So the last element
 * at or below an address is the one before the result, if there is one, and the first above it is the result's.
 */
#ifndef EBPROF_BASE_SORTED_H
#define EBPROF_BASE_SORTED_H

#include <stddef.h>

#define sorted_front(nr, i, condition)                                                                                 \
	({                                                                                                             \
		size_t low_ = 0, high_ = (nr);                                                                         \
		while (low_ < high_) {                                                                                 \
			size_t i = low_ + (high_ - low_) / 2;                                                          \
			if (condition)                                                                                 \
				low_ = i + 1;                                                                          \
			else                                                                                           \
				high_ = i;                                                                             \
		}                                                                                                      \
		low_;                                                                                                  \
	})

#endif
