// The tuned choices: a small text file and its reader. See tuned.h.
//
//   performer tune 1
//   device NAME, PLATFORM, VERSION, DRIVER, ...
//   kernels SHA-256
//   nt 1536 512 tile 1 6 4 1 96 512 gflops 390.1 built-in 371.0
//   nn 512 29 clblast gflops 80.2 built-in 60.0
//   end 2
#include "ops/matmul/tuned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { MOST_BYTES = 64 << 10, MOST_WORDS = 16, LARGEST_SIZE = 1 << 30, SHAPE_NUMBERS = 6 };

static const char format[] = "performer tune 1";

// ---- entries ----

bool pf_tile_shape_equal(const pf_tile_shape *a, const pf_tile_shape *b)
{
    return a->packed == b->packed && a->rows == b->rows && a->vectors == b->vectors &&
           a->beside == b->beside && a->staged_rows == b->staged_rows && a->depth == b->depth;
}

void pf_tile_shape_label(const pf_tile_shape *shape, int vector, char *out, size_t size)
{
    static const char *const how[] = {"shared", "packed", "staged"};
    snprintf(out, size, "%dx%d %dx%d %s", shape->rows, shape->vectors * vector, shape->staged_rows,
             shape->depth, how[shape->packed]);
}

bool pf_tile_shape_fits(const pf_tile_shape *shape, const pf_tuned_device *device)
{
    const pf_tile_shape *s = shape;
    const int group = device->shape.work_group, vector = device->shape.vector;
    if (s->packed < 0 || s->packed > (group == 1 ? 2 : 0) || s->rows < 1 || s->rows > 32 || s->vectors < 1 ||
        s->vectors > 8 || s->rows * s->vectors > 64)
        return false;
    if (s->beside < 1 || group % s->beside != 0 || s->depth < vector || s->depth > 4096 ||
        s->depth % vector != 0)
        return false;
    const int below = group / s->beside * s->rows; // rows of all items
    if (s->staged_rows < below || s->staged_rows > 4096 || s->staged_rows % below != 0) return false;
    // A group that shares one tile stages exactly that.
    if (!s->packed && s->staged_rows != below) return false;
    const uint64_t pad = group > 1 ? 1 : (uint64_t)vector,
                   panel = (uint64_t)(s->beside * s->vectors * vector);
    const uint64_t a = ((uint64_t)s->depth + pad) * ((uint64_t)s->staged_rows + pad);
    const uint64_t b = s->packed == 1 ? 0 : (uint64_t)s->depth * (panel + (group > 1 ? (uint64_t)vector : 0));
    const uint64_t tiles = (uint64_t)(group * s->rows * s->vectors * vector);
    return (a + b + tiles) * sizeof(float) <= device->local_bytes;
}

pf_tuned_entry pf_tuned_entry_of(const pf_matmul_call *call)
{
    return (pf_tuned_entry){
        .transpose_a = call->transpose_a,
        .transpose_b = call->transpose_b,
        .sizes = {call->transpose_a ? call->m : call->n, call->transpose_a ? call->n : call->k}};
}

static bool is_same_product(const pf_tuned_entry *a, const pf_tuned_entry *b)
{
    return a->transpose_a == b->transpose_a && a->transpose_b == b->transpose_b &&
           a->sizes[0] == b->sizes[0] && a->sizes[1] == b->sizes[1];
}

const pf_tuned_entry *pf_tuned_find(const pf_tuned *tuned, const pf_matmul_call *call)
{
    const pf_tuned_entry wanted = pf_tuned_entry_of(call);
    for (int i = 0; i < tuned->count; i++)
        if (is_same_product(&tuned->entry[i], &wanted)) return &tuned->entry[i];
    return NULL;
}

// The shapes of all entries but those for the same products as `entry`, and its own.
static int count_shapes(const pf_tuned *tuned, const pf_tuned_entry *entry)
{
    pf_tile_shape seen[PF_TUNED_ENTRIES + 1];
    int count = 0;
    for (int i = 0; i <= tuned->count; i++) {
        const pf_tuned_entry *e = i < tuned->count ? &tuned->entry[i] : entry;
        if (e->provider != PF_MATMUL_TILE || (e != entry && is_same_product(e, entry))) continue;
        int at = 0;
        while (at < count && !pf_tile_shape_equal(&seen[at], &e->shape)) at++;
        if (at == count) seen[count++] = e->shape;
    }
    return count;
}

bool pf_tuned_add(pf_tuned *tuned, const pf_tuned_entry *entry)
{
    int at = 0;
    while (at < tuned->count && !is_same_product(&tuned->entry[at], entry)) at++;
    if (at == PF_TUNED_ENTRIES || count_shapes(tuned, entry) > PF_TUNED_SHAPES) return false;
    tuned->entry[at] = *entry;
    if (at == tuned->count) tuned->count++;
    return true;
}

// ---- reading ----

typedef struct line {
    char text[512];
    int number;
    char *word[MOST_WORDS];
    int n_words;
} line;

// The next line without its end. False at the end of the text; a line that is too long or holds other than
// printable ASCII comes back without words, which no reader takes.
static bool next_line(const char **text, const char *end, line *l)
{
    if (*text == end) return false;
    const char *stop = memchr(*text, '\n', (size_t)(end - *text));
    const size_t length = (size_t)((stop ? stop : end) - *text);
    bool fine = length < sizeof l->text && stop;
    for (size_t i = 0; i < length && fine; i++) fine = (*text)[i] >= ' ' && (*text)[i] <= '~';
    if (fine) memcpy(l->text, *text, length);
    l->text[fine ? length : 0] = '\0';
    l->number++;
    *text = stop ? stop + 1 : end;
    return true;
}

static void split_words(line *l)
{
    l->n_words = 0;
    for (char *c = l->text; *c && l->n_words < MOST_WORDS;) {
        while (*c == ' ') *c++ = '\0';
        if (*c) l->word[l->n_words++] = c;
        while (*c && *c != ' ') c++;
    }
}

static pf_status fail_line(const line *l, const char *expected)
{
    return pf_fail(PF_ERROR_INPUT, "line %d: expected %s; run performer tune again", l->number, expected);
}

static bool read_size(const char *word, int high, int *out)
{
    int64_t value = 0;
    if (pf_parse_integer(word, 0, high, &value) != PF_OK) return false;
    *out = (int)value;
    return true;
}

static bool read_rates(const line *l, int at, pf_tuned_entry *e)
{
    return l->n_words == at + 4 && strcmp(l->word[at], "gflops") == 0 &&
           strcmp(l->word[at + 2], "built-in") == 0 &&
           pf_parse_number(l->word[at + 1], 0, 1e9, &e->gflops) == PF_OK &&
           pf_parse_number(l->word[at + 3], 0, 1e9, &e->built_in) == PF_OK;
}

static bool read_entry(const line *l, const pf_tuned_device *device, pf_tuned_entry *e)
{
    const char *kind = l->n_words > 3 ? l->word[0] : "";
    if (strlen(kind) != 2 || strspn(kind, "nt") != 2) return false;
    e->transpose_a = kind[0] == 't', e->transpose_b = kind[1] == 't';
    if (!read_size(l->word[1], LARGEST_SIZE, &e->sizes[0]) ||
        !read_size(l->word[2], LARGEST_SIZE, &e->sizes[1]))
        return false;
    if (strcmp(l->word[3], "clblast") == 0) {
        e->provider = PF_MATMUL_CLBLAST;
        return read_rates(l, 4, e);
    }
    int numbers[SHAPE_NUMBERS];
    if (strcmp(l->word[3], "tile") != 0 || l->n_words < 4 + SHAPE_NUMBERS) return false;
    for (int i = 0; i < SHAPE_NUMBERS; i++)
        if (!read_size(l->word[4 + i], 1 << 16, &numbers[i])) return false;
    e->provider = PF_MATMUL_TILE;
    e->shape = (pf_tile_shape){numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
    return pf_tile_shape_fits(&e->shape, device) && read_rates(l, 4 + SHAPE_NUMBERS, e);
}

// The first three lines.
static pf_status read_head(const char **text, const char *end, const pf_tuned_device *device, line *l)
{
    if (!next_line(text, end, l) || strncmp(l->text, format, sizeof format - 2) != 0)
        return fail_line(l, "\"performer tune\" and a version");
    if (strcmp(l->text, format) != 0)
        return pf_fail(PF_END, "made by another version of this program; run performer tune again");
    if (!next_line(text, end, l) || strncmp(l->text, "device ", 7) != 0)
        return fail_line(l, "the device's name");
    if (strcmp(l->text + 7, device->identity) != 0)
        return pf_fail(PF_END, "made for another device or driver; run performer tune again");
    if (!next_line(text, end, l) || strncmp(l->text, "kernels ", 8) != 0)
        return fail_line(l, "the kernels' digest");
    if (strcmp(l->text + 8, device->kernels) != 0)
        return pf_fail(PF_END, "made for other kernels than this version's; run performer tune again");
    return PF_OK;
}

pf_status pf_tuned_parse(const char *text, size_t length, const pf_tuned_device *device, pf_tuned *out)
{
    const char *end = text + length;
    pf_tuned read = {0};
    line l = {0};
    int count = -1;
    PF_TRY(read_head(&text, end, device, &l));
    while (count < 0 && next_line(&text, end, &l)) {
        pf_tuned_entry entry = {0};
        split_words(&l);
        if (l.n_words == 2 && strcmp(l.word[0], "end") == 0 && read_size(l.word[1], PF_TUNED_ENTRIES, &count))
            break;
        if (!read_entry(&l, device, &entry))
            return fail_line(&l,
                             "KIND SIZE SIZE PROVIDER and its constants, fit for this device, or \"end\"");
        const int before = read.count;
        if (!pf_tuned_add(&read, &entry) || read.count == before)
            return fail_line(&l, "no product twice, and no more of them or of different constants");
    }
    if (count != read.count || text != end)
        return fail_line(&l, "\"end\", the number of products, and nothing behind it");
    *out = read;
    return PF_OK;
}

// ---- writing ----

static pf_status write_entry(const pf_tuned_entry *e, pf_text *out)
{
    const pf_tile_shape *s = &e->shape;
    PF_TRY(pf_text_add(out, "%c%c %d %d ", e->transpose_a ? 't' : 'n', e->transpose_b ? 't' : 'n',
                       e->sizes[0], e->sizes[1]));
    if (e->provider == PF_MATMUL_CLBLAST)
        PF_TRY(pf_text_add(out, "clblast"));
    else
        PF_TRY(pf_text_add(out, "tile %d %d %d %d %d %d", s->packed, s->rows, s->vectors, s->beside,
                           s->staged_rows, s->depth));
    return pf_text_add(out, " gflops %d built-in %d\n", (int)e->gflops, (int)e->built_in);
}

pf_status pf_tuned_write(const pf_tuned *tuned, const pf_tuned_device *device, pf_text *out)
{
    PF_TRY(pf_text_add(out, "%s\ndevice %s\nkernels %s\n", format, device->identity, device->kernels));
    for (int i = 0; i < tuned->count; i++) PF_TRY(write_entry(&tuned->entry[i], out));
    return pf_text_add(out, "end %d\n", tuned->count);
}

// ---- the device's file ----

static pf_status describe(const pf_device *device, pf_text *identity, pf_tuned_device *out)
{
    PF_TRY(pf_device_identity(device, identity));
    *out = (pf_tuned_device){.identity = identity->data,
                             .shape = pf_device_shape(device),
                             .local_bytes = pf_device_describe(device)->local_bytes};
    return pf_kernel_digest("matmul", out->kernels);
}

pf_status pf_tuned_load(const pf_device *device, pf_tuned *out)
{
    char *path = NULL, *text = NULL;
    size_t length = 0;
    pf_text identity = {0};
    pf_tuned_device about;
    pf_tuned read = {0};
    pf_status status = pf_device_file(device, "tune", false, &path);
    if (status == PF_OK && pf_exists(path)) {
        PF_TRY_OR(done, describe(device, &identity, &about));
        PF_TRY_OR(done, pf_read_file(path, MOST_BYTES, &text, &length));
        status = pf_tuned_parse(text, length, &about, &read);
        if (status != PF_OK) pf_fail(status, "%s: %s", path, pf_error_message());
    } else if (status == PF_END)
        status = PF_OK;
    if (status == PF_OK) *out = read;
done:
    pf_free(path);
    pf_free(text);
    pf_text_free(&identity);
    return status;
}

// What the file is to hold. Where there is no room for all, what was found now counts: the rest can be found
// again.
static void merge(pf_tuned *all, const pf_tuned *measured, const pf_tuned *found)
{
    int kept = 0;
    for (int i = 0; i < all->count; i++) {
        bool again = false;
        for (int e = 0; e < measured->count; e++)
            again = again || is_same_product(&measured->entry[e], &all->entry[i]);
        if (!again) all->entry[kept++] = all->entry[i];
    }
    all->count = kept;
    for (int i = 0; i < found->count; i++)
        if (!pf_tuned_add(all, &found->entry[i])) {
            *all = *found;
            return;
        }
}

pf_status pf_tuned_save(const pf_device *device, const pf_tuned *measured, const pf_tuned *found, char **path)
{
    char *at = NULL;
    pf_text identity = {0}, text = {0};
    pf_tuned_device about;
    pf_tuned all = {0};
    if (pf_tuned_load(device, &all) != PF_OK) all.count = 0; // what cannot be used is replaced
    merge(&all, measured, found);
    pf_status status = pf_device_file(device, "tune", true, &at);
    if (status == PF_END)
        return pf_fail(PF_ERROR_USAGE,
                       "nowhere to keep what was found: PERFORMER_CACHE is off, or there is no home "
                       "directory; set PERFORMER_CACHE to a directory");
    if (status != PF_OK) return status;
    PF_TRY_OR(done, describe(device, &identity, &about));
    PF_TRY_OR(done, pf_tuned_write(&all, &about, &text));
    PF_TRY_OR(done, pf_write_file(at, text.data, text.length, NULL));
    if (path) {
        *path = at;
        at = NULL;
    }
done:
    pf_free(at);
    pf_text_free(&identity);
    pf_text_free(&text);
    return status;
}
