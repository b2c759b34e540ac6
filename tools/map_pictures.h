// Pictures of attention maps: one of a whole sequence, a row for each layer and a column for each head; and
// one of each map, in the folder heads, where they are few.
#ifndef TOOLS_MAP_PICTURES_H
#define TOOLS_MAP_PICTURES_H

#include "performer/attention_map.h"

typedef struct pf_map_pictures pf_map_pictures;

// Pictures go to `directory`. n_layers and n_heads: of each sequence. Errors: PF_ERROR_FAILED.
pf_status pf_map_pictures_create(const char *directory, int n_layers, int n_heads, pf_map_pictures **out);
void pf_map_pictures_free(pf_map_pictures *pictures); // NULL is fine

// Every map in its order.
pf_status pf_map_pictures_add(pf_map_pictures *pictures, const pf_attention_map *map);

#endif
