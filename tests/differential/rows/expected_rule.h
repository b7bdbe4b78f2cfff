/* SPDX-License-Identifier: Apache-2.0 */
/* expected_rule.h - which unwind rules agree with a row of readelf's. */
#ifndef EBPROF_TESTS_EXPECTED_RULE_H
#define EBPROF_TESTS_EXPECTED_RULE_H

#include "facts.h"
#include "readelf_frames.h"

bool row_has_expression(const struct readelf_row *row);

bool expected_rule_is(const struct readelf_row *row, const struct readelf_fde *fde, const struct readelf_frames *frames,
		      const struct unwind_rule *rule);

#endif
