// Rotary positions in double precision. See rotary_ref.h.
#include "ref/rotary_ref.h"

#include <math.h>

void rotary_ref(double *x, int position, int heads, int E, int direction)
{
    for (int h = 0; h < heads; h++, x += E)
        for (int i = 0; i < E / 2; i++) {
            const double angle = direction * position * pow(10000, -2.0 * i / E), a = x[i], b = x[i + E / 2];
            x[i] = a * cos(angle) - b * sin(angle);
            x[i + E / 2] = b * cos(angle) + a * sin(angle);
        }
}
