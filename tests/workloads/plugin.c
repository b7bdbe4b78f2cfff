/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries of dlopens: FUNCTION is the name of the only function. */
#include "work.h"

void FUNCTION(unsigned long spins);

void FUNCTION(unsigned long spins)
{
	BURN(spins);
}
