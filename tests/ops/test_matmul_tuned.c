// Tuned matrix products: any constants give the bits of the built-in ones, the device's file decides what
// runs, a file that is no good changes nothing, and the search keeps what is right and better only.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "ops/matmul/search.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { M = 107, N = 131, K = 70 };

static const pf_tile_shape wide[] = {
    {1, 6, 4, 1, 48, 32},  {1, 12, 2, 1, 24, 512}, {1, 8, 3, 1, 96, 16}, {2, 6, 4, 1, 96, 128},
    {2, 12, 2, 1, 12, 48}, {2, 5, 1, 1, 40, 16},   {0, 6, 4, 1, 6, 32},
};
static const pf_tile_shape narrow[] = {
    {0, 4, 2, 8, 32, 16}, {0, 8, 1, 16, 32, 32}, {0, 8, 2, 8, 64, 16}, {0, 4, 2, 16, 16, 32}};

static int n_shapes(void)
{
    return pf_device_shape(test_device()).work_group == 1 ? (int)(sizeof wide / sizeof *wide)
                                                          : (int)(sizeof narrow / sizeof *narrow);
}

static pf_tile_shape shape(int i)
{
    return pf_device_shape(test_device()).work_group == 1 ? wide[i] : narrow[i];
}

typedef struct product {
    pf_matmul_call call;
    pf_buffer *a, *b, *c, *bias;
    float *zeros, *got;
} product;

// Bias, activation and a sum of rows that no tile divides.
static product product_create(bool transpose_a, bool transpose_b)
{
    const bool small = test_small();
    const int m = small ? 21 : M, n = small ? 37 : N, k = small ? 19 : K;
    product p = {.call = {.m = m,
                          .n = n,
                          .k = k,
                          .transpose_a = transpose_a,
                          .transpose_b = transpose_b,
                          .alpha = 0.5f,
                          .beta = 1,
                          .has_activation = !transpose_a}};
    float *x = malloc(sizeof(float) * (size_t)(M * N + N * K + M * K));
    test_normal(x, (size_t)(m * k), 1, 1), p.a = test_upload(x, (size_t)(m * k));
    test_normal(x, (size_t)(n * k), 1, 2), p.b = test_upload(x, (size_t)(n * k));
    test_normal(x, (size_t)n, 1, 3), p.bias = test_upload(x, (size_t)n);
    p.c = test_empty((size_t)(m * n));
    p.zeros = calloc((size_t)(m * n), sizeof(float)), p.got = calloc((size_t)(m * n), sizeof(float));
    p.call.a = p.a, p.call.b = p.b, p.call.c = p.c, p.call.bias = p.bias;
    free(x);
    return p;
}

static void product_free(product *p)
{
    pf_buffer_free(p->a), pf_buffer_free(p->b), pf_buffer_free(p->c), pf_buffer_free(p->bias);
    free(p->zeros), free(p->got);
}

static void run(pf_matmul *matmul, product *p)
{
    const size_t bytes = sizeof(float) * (size_t)p->call.m * (size_t)p->call.n;
    size_t scratch = 0;
    must(pf_matmul_scratch_bytes(matmul, &p->call, &scratch));
    must(pf_matmul_reserve(matmul, scratch));
    must(pf_buffer_write(p->c, 0, p->zeros, bytes));
    must(pf_matmul_run(matmul, &p->call));
    must(pf_buffer_read(p->c, 0, p->got, bytes));
}

static pf_tuned tuned_for(const pf_matmul_call *call, const pf_tile_shape *tile)
{
    pf_tuned tuned = {0};
    pf_tuned_entry e = pf_tuned_entry_of(call);
    e.provider = tile ? PF_MATMUL_TILE : PF_MATMUL_CLBLAST;
    if (tile) e.shape = *tile;
    ck_assert(pf_tuned_add(&tuned, &e));
    return tuned;
}

START_TEST(constants_change_no_bit)
{
    const bool transpose_a = _i & 1, transpose_b = _i >> 1;
    product p = product_create(transpose_a, transpose_b);
    const size_t numbers = (size_t)p.call.m * (size_t)p.call.n;
    float *expected = malloc(numbers * sizeof *expected);
    pf_matmul *built_in = NULL;
    must(pf_matmul_create_tuned(test_device(), PF_MATMUL_TILE, NULL, &built_in));
    run(built_in, &p);
    memcpy(expected, p.got, numbers * sizeof *expected);
    for (int i = 0; i < n_shapes(); i++) {
        const pf_tile_shape tile = shape(i);
        const pf_tuned tuned = tuned_for(&p.call, &tile);
        pf_matmul *matmul = NULL;
        must(pf_matmul_create_tuned(test_device(), PF_MATMUL_TILE, &tuned, &matmul));
        run(matmul, &p);
        ck_assert_msg(memcmp(expected, p.got, numbers * sizeof *expected) == 0, "shape %d: other bits", i);
        pf_matmul_free(matmul);
    }
    p.got[numbers / 2] += 1e-3f; // the twin
    ck_assert(memcmp(expected, p.got, numbers * sizeof *expected) != 0);
    pf_matmul_free(built_in);
    product_free(&p);
    free(expected);
}
END_TEST

static pf_device *open_device(const char *cache)
{
    pf_device *device = NULL;
    must(pf_device_open(
        &(pf_device_options){.selector = getenv("PERFORMER_DEVICE"), .cache_directory = cache}, &device));
    return device;
}

// What a new pf_matmul on `device` runs for the call.
static const char *described(pf_device *device, const pf_matmul_call *call, pf_matmul_choice provider)
{
    static char text[64];
    pf_matmul *matmul = NULL;
    must(pf_matmul_create(device, provider, &matmul));
    pf_matmul_describe(matmul, call, text, sizeof text);
    pf_matmul_free(matmul);
    return text;
}

START_TEST(the_devices_file_decides)
{
    pf_device *device = open_device(temporary("cache"));
    const pf_matmul_call forward = {.m = 50, .n = 30, .k = 20, .transpose_b = true, .alpha = 1};
    const pf_matmul_call other = {.m = 50, .n = 31, .k = 20, .transpose_b = true, .alpha = 1};
    const pf_tile_shape tile = shape(0);
    pf_tuned tuned = tuned_for(&forward, &tile), none = {0}, back;
    char label[48], expected[64], built_in[64], *path = NULL, *text = NULL;
    snprintf(built_in, sizeof built_in, "%s", described(device, &other, PF_MATMUL_TILE));
    must(pf_tuned_save(device, &tuned, &tuned, &path));
    pf_tile_shape_label(&tile, pf_device_shape(device).vector, label, sizeof label);
    snprintf(expected, sizeof expected, "tile %s", label);
    ck_assert_str_eq(described(device, &forward, PF_MATMUL_AUTO), expected);
    ck_assert_str_eq(described(device, &forward, PF_MATMUL_TILE), expected);
    ck_assert_str_eq(described(device, &forward, PF_MATMUL_CLBLAST), "clblast");
    ck_assert_str_eq(described(device, &other, PF_MATMUL_TILE), built_in);

    // Another model's products stay; those measured again without gain go.
    const pf_tuned more = tuned_for(&other, NULL);
    must(pf_tuned_save(device, &more, &more, NULL));
    must(pf_tuned_load(device, &back));
    ck_assert_int_eq(back.count, 2);
    ck_assert_str_eq(described(device, &other, PF_MATMUL_TILE),
                     built_in); // asked for by name: CLBlast may not step in
    must(pf_tuned_save(device, &tuned, &none, NULL));
    must(pf_tuned_load(device, &back));
    ck_assert_int_eq(back.count, 1);
    ck_assert_int_eq(back.entry[0].provider, PF_MATMUL_CLBLAST);

    // A file that is no good counts as none.
    must(pf_write_file(path, "nonsense\n", 9, NULL));
    ck_assert_int_eq(pf_tuned_load(device, &back), PF_ERROR_INPUT);
    ck_assert_ptr_nonnull(strstr(pf_error_message(), path));
    ck_assert_str_eq(described(device, &other, PF_MATMUL_TILE), built_in);
    pf_free(text);
    pf_free(path);
    pf_device_close(device);
}
END_TEST

START_TEST(nothing_is_kept_where_nothing_may_be)
{
    pf_device *device = open_device("off");
    const pf_tuned none = {0};
    pf_tuned back = {.count = -7};
    must(pf_tuned_load(device, &back));
    ck_assert_int_eq(back.count, 0);
    ck_assert_int_eq(pf_tuned_save(device, &none, &none, NULL), PF_ERROR_USAGE);
    pf_device_close(device);
}
END_TEST

START_TEST(a_search_ends_with_what_is_right)
{
    if (test_small()) return; // compiles many programs
    pf_search *search = NULL;
    pf_search_result r = {0};
    must(pf_search_create(test_device(), &search));
    must(pf_search_run(search, &(pf_matmul_call){.m = 70, .n = 40, .k = 30, .transpose_b = true}, &r));
    ck_assert_int_gt(r.tried, 4);
    ck_assert_int_eq(r.wrong, 0);
    ck_assert(r.gflops >= r.built_in_gflops && r.built_in_gflops > 0);
    ck_assert_int_eq(r.has_gain, strcmp(r.best, r.built_in) != 0);
    ck_assert_int_eq(pf_search_run(search, &(pf_matmul_call){.m = 70, .n = 0, .k = 30}, &r), PF_ERROR_USAGE);
    pf_search_free(search);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("matmul_tuned");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_loop_test(all, constants_change_no_bit, 0, 4);
    tcase_add_test(all, the_devices_file_decides);
    tcase_add_test(all, nothing_is_kept_where_nothing_may_be);
    tcase_add_test(all, a_search_ends_with_what_is_right);
    tcase_set_timeout(all, 300);
    suite_add_tcase(s, all);
    return s;
}
