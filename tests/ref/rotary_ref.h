// Rotary positions in double precision: the truth for cl/rotary.cl.
#ifndef TESTS_REF_ROTARY_REF_H
#define TESTS_REF_ROTARY_REF_H

// Turns `heads` heads of E numbers at x by the angles of `position`; direction -1: back.
void rotary_ref(double *x, int position, int heads, int E, int direction);

#endif
