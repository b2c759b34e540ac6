// What similarity makes of attention maps: the formulas of the header, computed again from the maps
// themselves; and BLOSUM62.
#include "performer/similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "infer/map_model.h"
#include "support/device.h"
#include "support/suite.h"
#include "support/temporary.h"

enum { LETTERS = PF_SIMILARITY_LETTERS, SEQUENCES = 6, RESIDUES = 45, HEADS = LAYERS * H };

static const char letters[] = PF_AMINO_ACID_LETTERS;

// Random proteins with an X here and there, and every amino acid.
static const char *make_proteins(void)
{
    static char text[SEQUENCES * (RESIDUES + 8)];
    char *at = text;
    for (int s = 0; s < SEQUENCES; s++) {
        *at++ = '>', *at++ = (char)('a' + s), *at++ = '\n';
        for (int i = 0; i < RESIDUES - 3 * s; i++) {
            const uint64_t letter = pf_random_below(LETTERS + 1, 7, PF_RANDOM_TEST, (uint64_t)s, (uint64_t)i);
            *at++ = letter == LETTERS ? 'X' : letters[letter];
        }
        *at++ = '\n';
    }
    *at = '\0';
    return map_fasta(text);
}

// ---- from whole maps ----

typedef struct sums {
    double w[HEADS][LETTERS][LETTERS], c[HEADS][LETTERS][LETTERS];
} sums;

// The place of a letter, -1 for X and the ends.
static int place(char letter)
{
    const char *at = letter == '.' ? NULL : strchr(letters, letter);
    return at ? (int)(at - letters) : -1;
}

static void add_map(sums *s, const pf_attention_map *map)
{
    const int head = (map->layer - 1) * H + map->head - 1, n = map->length;
    double w[LETTERS][LETTERS] = {{0}}, all = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const int x = place(map->letters[i]), y = place(map->letters[j]);
            if (x < 0 || y < 0) continue;
            w[x][y] += (double)map->weights[i * n + j];
            all += (double)map->weights[i * n + j];
        }
    for (int x = 0; x < LETTERS; x++)
        for (int y = 0; y < LETTERS; y++) {
            double gives = 0, gets = 0;
            for (int z = 0; z < LETTERS; z++) gives += w[x][z], gets += w[z][y];
            s->w[head][x][y] += w[x][y];
            s->c[head][x][y] += gives * gets / all;
        }
}

static void sum_maps(pf_model *model, const char *path, sums *s)
{
    const pf_attention_maps_options options = {
        .stream = {.files = &path, .n_files = 1}, .n_sequences = SEQUENCES, .directory = temporary("")};
    pf_attention_maps *maps = NULL;
    pf_attention_map map;
    memset(s, 0, sizeof *s);
    must(pf_attention_maps_open(model, &options, &maps));
    while (pf_attention_maps_next(maps, &map) == PF_OK) add_map(s, &map);
    pf_attention_maps_close(maps);
}

static double pearson(const double *x, const double *y, int count)
{
    double x_sum = 0, y_sum = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < count; i++) x_sum += x[i], y_sum += y[i];
    for (int i = 0; i < count; i++) {
        const double dx = x[i] - x_sum / count, dy = y[i] - y_sum / count;
        xx += dx * dx, yy += dy * dy, xy += dx * dy;
    }
    return xy / sqrt(xx) / sqrt(yy);
}

static double expect_received(const sums *s, int a, int b)
{
    double x[HEADS] = {0}, y[HEADS] = {0};
    for (int h = 0; h < HEADS; h++) {
        double all = 0;
        for (int i = 0; i < LETTERS * LETTERS; i++) all += s->w[h][i / LETTERS][i % LETTERS];
        for (int z = 0; z < LETTERS; z++) x[h] += s->w[h][z][a] / all, y[h] += s->w[h][z][b] / all;
    }
    return pearson(x, y, HEADS);
}

static double expect_given(const sums *s, int a, int b)
{
    double x[HEADS * LETTERS], y[HEADS * LETTERS];
    int count = 0;
    for (int h = 0; h < HEADS; h++)
        for (int z = 0; z < LETTERS; z++) {
            if (z == a || z == b) continue;
            x[count] = log2(s->w[h][a][z] / s->c[h][a][z]);
            y[count++] = log2(s->w[h][b][z] / s->c[h][b][z]);
        }
    return pearson(x, y, count);
}

static double expect_pairs(const sums *s, int a, int b)
{
    double ab = 0, ba = 0, chance_ab = 0, chance_ba = 0;
    for (int h = 0; h < HEADS; h++) {
        ab += s->w[h][a][b], ba += s->w[h][b][a];
        chance_ab += s->c[h][a][b], chance_ba += s->c[h][b][a];
    }
    return (log2(ab / chance_ab) + log2(ba / chance_ba)) / 2;
}

static void measure(pf_model *model, const char *path, pf_similarity_options options,
                    pf_similarity_result *out)
{
    pf_similarity *similarity = NULL;
    uint64_t sequences, tokens;
    pf_status status;
    options.stream.files = &path;
    options.stream.n_files = 1;
    must(pf_similarity_open(model, &options, &similarity));
    do status = pf_similarity_step(similarity, &sequences, &tokens);
    while (status == PF_OK);
    ck_assert_int_eq(status, PF_END);
    must(pf_similarity_get(similarity, out));
    pf_similarity_close(similarity);
}

START_TEST(sums_by_letter_are_those_of_whole_maps)
{
    // Bidirectional: causal heads leave pairs of letters without weight in proteins as few as these.
    static const int some[] = {0, RELU, UNPROJECTED};
    static sums s;
    pf_similarity_result got;
    pf_model *model = map_model(some[_i], 60);
    const char *path = make_proteins();
    sum_maps(model, path, &s);
    measure(model, path, (pf_similarity_options){0}, &got);
    ck_assert_uint_eq(got.sequences, SEQUENCES);
    ck_assert_uint_eq(got.residues, SEQUENCES * RESIDUES - 3 * SEQUENCES * (SEQUENCES - 1) / 2);
    ck_assert_int_eq(got.n_heads, HEADS);
    // Weights of float32 are right to 1e-6, and the log of a ratio, too; preferences and shares differ by
    // some percent, which is what correlations see, so that these are right to 1e-4.
    const double tolerance = 1e-4;
    for (int a = 0; a < LETTERS; a++)
        for (int b = 0; b < LETTERS; b++) {
            ck_assert(got.received.at[a][b] == got.received.at[b][a]);
            ck_assert(got.given.at[a][b] == got.given.at[b][a]);
            ck_assert(got.pairs.at[a][b] == got.pairs.at[b][a]);
            ck_assert_double_eq_tol(got.received.at[a][b], expect_received(&s, a, b), tolerance);
            if (a != b) ck_assert_double_eq_tol(got.given.at[a][b], expect_given(&s, a, b), tolerance);
            ck_assert_double_eq_tol(got.pairs.at[a][b], expect_pairs(&s, a, b), tolerance);
        }
    // The twin: a tenth of a row counted for a wrong letter is seen.
    s.w[1][3][4] += 0.1;
    ck_assert_double_gt(fabs(got.given.at[3][9] - expect_given(&s, 3, 9)), tolerance);
    ck_assert_double_gt(fabs(got.pairs.at[3][4] - expect_pairs(&s, 3, 4)), tolerance);
    pf_model_free(model);
}
END_TEST

START_TEST(what_is_not_defined_is_not_a_number)
{
    static const int32_t layer[] = {2};
    enum { ALANINE = 0, CYSTEINE = 1, TRYPTOPHAN = 18 };
    pf_similarity_result got;
    pf_model *model = map_model(LOCAL_CAUSAL, 60);
    measure(model, map_fasta(">a\nACDEFGHIKLMNACDEFGHIKLMN\n>b\nX\n>c\nACACAC\n"),
            (pf_similarity_options){.choice = {.layers = layer, .n_layers = 1}}, &got);
    ck_assert_int_eq(got.n_heads, 2);
    ck_assert_double_nan(got.received.at[ALANINE][CYSTEINE]); // any two points lie on a line
    ck_assert(isfinite(got.pairs.at[ALANINE][CYSTEINE]));
    ck_assert_double_nan(got.given.at[ALANINE][TRYPTOPHAN]); // which does not occur
    ck_assert_double_nan(got.pairs.at[ALANINE][TRYPTOPHAN]);
    pf_model_free(model);
}
END_TEST

START_TEST(a_model_with_little_room_sees_whole_sequences)
{
    pf_similarity_result large, small;
    char text[128] = ">a\n"; // longer than what a causal model can take at once
    for (size_t i = 3; i < 113; i++) text[i] = letters[i * i % LETTERS];
    const char *path = map_fasta(text);
    pf_model *model = map_model(LOCAL_CAUSAL, 120), *other = map_model(LOCAL_CAUSAL, 10);
    measure(model, path, (pf_similarity_options){0}, &large);
    measure(other, path, (pf_similarity_options){0}, &small);
    pf_model_free(model);
    pf_model_free(other);
    for (int a = 0; a < LETTERS; a++)
        for (int b = 0; b < LETTERS; b++)
            ck_assert_mem_eq(&large.pairs.at[a][b], &small.pairs.at[a][b], sizeof(double));
}
END_TEST

// ---- BLOSUM62 ----

static int entry(const pf_letter_matrix *m, char a, char b)
{
    return (int)m->at[place(a)][place(b)];
}

START_TEST(blosum62_is_the_published_table)
{
    // Three lines of the table as it is printed.
    static const char columns[] = "ARNDCQEGHILKMFPSTWYV";
    static const int w[] = {-3, -3, -4, -4, -2, -2, -3, -2, -2, -3, -2, -3, -1, 1, -4, -3, -2, 11, 2, -3};
    static const int h[] = {-2, 0, 1, -1, -3, 0, 0, -2, 8, -3, -3, -1, -2, -1, -2, -1, -2, -2, 2, -3};
    static const int i[] = {-1, -3, -3, -3, -1, -3, -3, -4, -3, 4, 2, -3, 1, 0, -3, -2, -1, -3, -1, 3};
    pf_letter_matrix m;
    double sum = 0;
    pf_blosum62(&m);
    for (int n = 0; n < LETTERS; n++) {
        ck_assert_int_eq(entry(&m, 'W', columns[n]), w[n]);
        ck_assert_int_eq(entry(&m, 'H', columns[n]), h[n]);
        ck_assert_int_eq(entry(&m, columns[n], 'I'), i[n]);
    }
    for (int a = 0; a < LETTERS; a++)
        for (int b = 0; b < LETTERS; b++) {
            ck_assert(m.at[a][b] == m.at[b][a]);
            ck_assert(a == b || m.at[a][b] < m.at[a][a]);
            sum += m.at[a][b];
        }
    ck_assert_double_eq(sum, -426); // of the 400 entries
}
END_TEST

START_TEST(agreement_is_that_of_numbers_and_of_ranks)
{
    pf_letter_matrix m, other;
    pf_agreement agree;
    pf_blosum62(&m);
    pf_similarity_compare(&m, &m, &agree);
    ck_assert_int_eq(agree.pairs, 190);
    ck_assert_double_eq_tol(agree.pearson, 1, 1e-12);
    ck_assert_double_eq_tol(agree.spearman, 1, 1e-12);
    ck_assert_double_eq(agree.p, 1e-4); // no relabelling is as good
    for (int a = 0; a < LETTERS; a++)
        for (int b = 0; b < LETTERS; b++) other.at[a][b] = -exp(m.at[a][b]);
    pf_similarity_compare(&m, &other, &agree);
    ck_assert_double_eq_tol(agree.spearman, -1, 1e-12);
    ck_assert_double_gt(agree.pearson, -0.9); // far from a line
    ck_assert_double_gt(agree.p, 0.99);
    // The diagonal does not count, nor does what is not finite.
    for (int a = 0; a < LETTERS; a++) other.at[a][a] = 1e9, other.at[0][a] = other.at[a][0] = (double)NAN;
    pf_similarity_compare(&m, &other, &agree);
    ck_assert_int_eq(agree.pairs, 171);
    ck_assert_double_eq_tol(agree.spearman, -1, 1e-12);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("similarity");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 600);
    tcase_add_checked_fixture(all, temporary_create, temporary_remove);
    tcase_add_loop_test(all, sums_by_letter_are_those_of_whole_maps, 0, test_small() ? 1 : 3);
    tcase_add_test(all, what_is_not_defined_is_not_a_number);
    tcase_add_test(all, a_model_with_little_room_sees_whole_sequences);
    tcase_add_test(all, blosum62_is_the_published_table);
    tcase_add_test(all, agreement_is_that_of_numbers_and_of_ranks);
    suite_add_tcase(s, all);
    return s;
}
