// Embeddings and their gradients equal the reference: with and without positions and dropout, any width.
#include "base/random.h"
#include "ops/embedding.h"
#include "ref/dropout_ref.h"
#include "ref/embedding_ref.h"
#include "support/arrays.h"
#include "support/suite.h"

// Sequences' lengths; widths around vectors and groups of them.
static const struct {
    int width, alphabet, n_sequences, length[4];
    double rate;
    int positions, scales;
} cases[] = {
    {1, 1, 1, {1}, 0, 1, 0},
    {7, 29, 3, {5, 1, 13}, 0.1, 1, 1},
    {64, 29, 2, {17, 40}, 0.5, 1, 0},
    {61, 3, 4, {2, 9, 30, 7}, 0.1, 0, 1},
    {130, 29, 2, {100, 31}, 0, 1, 1},
    {261, 29, 3, {150, 300, 61}, 0.1, 1, 0},
    {80, 29, 2, {700, 400}, 0.25, 1, 0},
};

// A gradient sums up to 1100 rows, in runs and parts, sums of about 30 times a term: 40 roundings of 6e-8 at worst.
static const double tolerance = 3e-6;

typedef struct problem {
    int rows, width, alphabet, positions;
    size_t count, token_count, position_count;
    pf_place *place;
    int *token, *position, first_row[4];
    float *token_table, *position_table, *dx, *scale; // scale NULL: none
    pf_dropout dropout;
    embedding_ref_call reference;
    pf_sequences *sequences;
} problem;

static problem make(int k)
{
    problem p = {.width = cases[k].width, .alphabet = cases[k].alphabet};
    for (int b = 0; b < cases[k].n_sequences; b++) {
        p.first_row[b] = p.rows;
        p.rows += cases[k].length[b];
        if (cases[k].length[b] > p.positions) p.positions = cases[k].length[b];
    }
    p.positions += 2; // rows of the table that no sequence reaches
    p.count = (size_t)p.rows * (size_t)p.width;
    p.token_count = (size_t)p.alphabet * (size_t)p.width;
    p.position_count = (size_t)p.positions * (size_t)p.width;
    p.place = (pf_place *)host_ints(4 * (size_t)p.rows);
    places_ref(p.place, cases[k].length, cases[k].n_sequences, 5000000000u);
    p.token = host_ints((size_t)p.rows);
    p.position = host_ints((size_t)p.rows);
    for (int n = 0; n < p.rows; n++) {
        p.token[n] = (int)pf_random_below((uint64_t)p.alphabet, 1, PF_RANDOM_TEST, 9, (uint64_t)n);
        p.position[n] = (int)p.place[n].position;
    }
    p.token_table = host_normal(p.token_count, 1, 1);
    p.position_table = host_normal(p.position_count, 1, 2);
    p.dx = host_normal(p.count, 1, 3);
    p.dropout = pf_dropout_at(cases[k].rate, 7, 3, 11);
    double *mask = host_doubles(p.count);
    dropout_mask_ref(mask, &p.dropout, cases[k].rate, p.place, p.rows, p.width);
    p.reference =
        (embedding_ref_call){as_doubles(p.token_table, p.token_count),
                             cases[k].positions ? as_doubles(p.position_table, p.position_count) : NULL,
                             mask,
                             p.token,
                             p.position,
                             p.rows,
                             p.width,
                             NULL};
    if (cases[k].scales) {
        p.scale = host_normal((size_t)p.rows, 1, 4);
        p.reference.scale = as_doubles(p.scale, (size_t)p.rows);
    }
    must(pf_sequences_create(test_device(), 4, p.rows, &p.sequences));
    must(pf_sequences_set(p.sequences, p.first_row, cases[k].length, cases[k].n_sequences));
    return p;
}

START_TEST(forward_equals_reference)
{
    const problem p = make(_i);
    double *expected = host_doubles(p.count);
    embedding_ref(expected, &p.reference);
    pf_embedding *op = NULL;
    must(pf_embedding_create(test_device(), p.alphabet, p.width, cases[_i].rate > 0, &op));
    pf_buffer *x = on_device(NULL, p.count), *positions = on_device(p.position_table, p.position_count);
    must(pf_embedding_run(
        op, &(pf_embedding_forward){
                x, on_device(p.token_table, p.token_count), cases[_i].positions ? positions : NULL,
                on_device(p.token, (size_t)p.rows), on_device(p.place, 4 * (size_t)p.rows),
                p.scale ? on_device(p.scale, (size_t)p.rows) : NULL, &p.dropout, p.rows, 0}));
    // One addition and two multiplications in fp32.
    test_close("x", from_device(x, p.count), expected, p.count, 2e-7);
    pf_sequences_free(p.sequences);
    pf_embedding_free(op);
}
END_TEST

START_TEST(backward_equals_reference)
{
    const problem p = make(_i);
    double *dtoken = as_doubles(p.token_table, p.token_count);
    double *dposition = as_doubles(p.position_table, p.position_count);
    embedding_backward_ref(dtoken, cases[_i].positions ? dposition : NULL, as_doubles(p.dx, p.count), &p.reference);
    pf_embedding *op = NULL;
    must(pf_embedding_create(test_device(), p.alphabet, p.width, cases[_i].rate > 0, &op));
    pf_buffer *dx = on_device(p.dx, p.count), *token = on_device(p.token, (size_t)p.rows);
    pf_buffer *place = on_device(p.place, 4 * (size_t)p.rows), *tokens[2], *positions[2];
    pf_buffer *scale = p.scale ? on_device(p.scale, (size_t)p.rows) : NULL;
    for (int k = 0; k < 2; k++) {
        tokens[k] = on_device(p.token_table, p.token_count); // added to, so they start from something
        positions[k] = on_device(p.position_table, p.position_count);
        must(pf_embedding_run_backward(
            op, &(pf_embedding_backward){tokens[k], cases[_i].positions ? positions[k] : NULL, dx, token,
                                         place, scale, p.sequences, &p.dropout, p.rows}));
    }
    const float *got = from_device(tokens[0], p.token_count), *again = from_device(tokens[1], p.token_count);
    test_close("dtoken", got, dtoken, p.token_count, tolerance);
    ck_assert_mem_eq(got, again, p.token_count * sizeof *got);
    got = from_device(positions[0], p.position_count), again = from_device(positions[1], p.position_count);
    test_close("dposition", got, dposition, p.position_count, tolerance);
    ck_assert_mem_eq(got, again, p.position_count * sizeof *got);
    pf_sequences_free(p.sequences);
    pf_embedding_free(op);
}
END_TEST

// sum of dx * x, as a function of both tables behind each other.
static double weighted(const double *tables, void *context)
{
    const problem *p = context;
    embedding_ref_call call = p->reference;
    call.token_table = tables;
    call.position_table = tables + p->token_count;
    double x[256], sum = 0;
    embedding_ref(x, &call);
    for (size_t i = 0; i < p->count; i++) sum += x[i] * (double)p->dx[i];
    return sum;
}

START_TEST(reference_gradients_are_derivatives)
{
    problem p = make(1);
    const size_t count = p.token_count + p.position_count;
    double *tables = host_doubles(count), *gradient = host_doubles(count);
    for (size_t i = 0; i < count; i++)
        tables[i] = (double)(i < p.token_count ? p.token_table[i] : p.position_table[i - p.token_count]);
    embedding_backward_ref(gradient, gradient + p.token_count, as_doubles(p.dx, p.count), &p.reference);
    // Linear: nothing but rounding.
    test_is_gradient(&(test_gradient){"embedding", weighted, &p, tables, gradient, count, 1e-3, 1e-10});
    pf_sequences_free(p.sequences);
}
END_TEST

START_TEST(a_batch_gives_its_places)
{
    const int32_t start[] = {0, 2, 2, 5};
    const uint64_t number[] = {7, 8, 0x100000009};
    const pf_batch batch = {.n_sequences = 3, .n_rows = 5, .start = start, .number = number};
    pf_place place[5];
    pf_places_fill(place, &batch);
    ck_assert_uint_eq(place[1].position, 1);
    ck_assert_uint_eq(place[1].number_low, 7);
    ck_assert_uint_eq(place[2].position, 0);
    ck_assert_uint_eq(place[4].position, 2);
    ck_assert_uint_eq(place[4].number_low, 9);
    ck_assert_uint_eq(place[4].number_high, 1);
}
END_TEST

START_TEST(what_is_missing_is_named)
{
    pf_embedding *op = NULL;
    must(pf_embedding_create(test_device(), 3, 4, false, &op));
    pf_buffer *any = on_device(NULL, 16);
    const pf_dropout dropout = pf_dropout_at(0.1, 1, 1, 1);
    pf_embedding_forward call = {any, any, any, any, NULL, NULL, NULL, 1, 0};
    ck_assert_int_eq(pf_embedding_run(op, &call), PF_ERROR_USAGE);
    call.place = any;
    call.dropout = &dropout;
    ck_assert_int_eq(pf_embedding_run(op, &call), PF_ERROR_USAGE);
    pf_embedding_free(op);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("embedding");
    TCase *all = tcase_create("all");
    const int n_cases = (int)(sizeof cases / sizeof *cases) - (test_small() ? 2 : 0);
    tcase_add_checked_fixture(all, NULL, arrays_end);
    tcase_add_loop_test(all, forward_equals_reference, 0, n_cases);
    tcase_add_loop_test(all, backward_equals_reference, 0, n_cases);
    tcase_add_test(all, reference_gradients_are_derivatives);
    tcase_add_test(all, a_batch_gives_its_places);
    tcase_add_test(all, what_is_missing_is_named);
    tcase_set_timeout(all, 120);
    suite_add_tcase(s, all);
    return s;
}
