// Models that answer a task: outputs are the head over residues or over their mean, the loss is that of the
// labels, gradients of every tensor are those of the loss, and a sequence gives the same bits alone and in
// company.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/alphabet.h"
#include "model/subject.h"
#include "ref/cross_entropy_ref.h"
#include "support/device.h"
#include "support/suite.h"

enum { D = 24, C = 3, ROWS = SUBJECT_ROWS, SEQUENCES = SUBJECT_SEQUENCES, SETTINGS = 7 };

#define CLASSES "task.type=classification", "task.classes=[\"in\",\"out\",\"wall\"]"
static const char *const kinds[][SETTINGS] = {
    {"task.level=sequence", "attention.kernel=elu1", CLASSES},
    {"task.level=residue", "attention.kernel=elu1", CLASSES},
    {"task.level=sequence", "attention.kernel=elu1", "task.type=regression"},
    {"task.level=residue", "attention.type=softmax", "task.type=regression"},
    // The pieces of language models' heads that a task's lacks, and other norms.
    {"task.level=sequence", "attention.type=softmax", CLASSES, "head_transform=true",
     "tie_word_embeddings=true"},
    {"task.level=sequence", "attention.kernel=elu1", CLASSES, "norm_placement=post", "embedding_norm=true",
     "train.recompute=1"},
    {"task.level=residue", "attention.kernel=elu1", CLASSES, "lora.rank=2", "lora.targets=*"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct labelled {
    subject_rows r;
    float value[ROWS];
    int n_labels;
} labelled;

static bool is_of_sequences(const struct pf_config *c)
{
    return c->task.level == PF_TASK_SEQUENCE;
}

// The sequences of subject.h between begin and end, but the second, which has neither (a cropped one's
// middle); the third's residues have no labels at all, or every other one has.
static void fill(labelled *l, const subject *s, int only)
{
    const struct pf_config *c = pf_model_config(s->model);
    subject_rows_fill(&l->r, only, false);
    l->n_labels = 0;
    for (int32_t b = 0; b < l->r.batch.n_sequences; b++) {
        const int32_t first = l->r.start[b], end = l->r.start[b + 1];
        if (l->r.number[b] != 1) l->r.token[first] = PF_TOKEN_BEGIN, l->r.token[end - 1] = PF_TOKEN_END;
        for (int32_t n = first; n < end; n++) {
            const int32_t place = n - first + (int32_t)l->r.number[b];
            const bool has = is_of_sequences(c) ? n == first && l->r.number[b] < 2 : place % 2 == 0;
            l->r.target[n] = !has ? PF_NO_TARGET : c->task.type == PF_TASK_REGRESSION ? 0 : place % C;
            l->value[n] = has ? 0.5f * (float)place - 1 : NAN;
            l->n_labels += has;
        }
    }
    l->r.batch.n_targets = l->n_labels;
    l->r.batch.value = c->task.type == PF_TASK_REGRESSION ? l->value : NULL;
}

// A fresh head is small: with one of the others' size, mistakes show.
static subject make_subject(int kind, bool training)
{
    subject s = subject_create(kinds[kind], SETTINGS, training);
    const pf_parameter *weight = pf_parameters_find(s.params, "task.weight");
    for (size_t i = 0; i < weight->count; i++) s.trained[weight->offset + i] *= 20;
    must(pf_model_upload(s.model, s.trained, NULL));
    return s;
}

static void forward(const subject *s, const pf_batch *batch, float *out)
{
    const pf_pass pass = {0};
    must(pf_model_forward(s->model, batch, &pass));
    must(pf_model_read_logits(s->model, out));
}

START_TEST(the_gradient_of_every_tensor_is_that_of_the_loss)
{
    subject s = make_subject(_i, true);
    labelled l;
    fill(&l, &s, -1);
    subject_check_gradients(&s, &l.r.batch);
    subject_free(&s);
}
END_TEST

// Rows of `h` that output `i` is made of.
static void rows_of(const labelled *l, const struct pf_config *c, int i, int32_t rows[2])
{
    rows[0] = i, rows[1] = i + 1;
    if (!is_of_sequences(c)) return;
    rows[0] = l->r.start[i], rows[1] = l->r.start[i + 1];
    rows[0] += l->r.token[rows[0]] == PF_TOKEN_BEGIN;
    rows[1] -= l->r.token[rows[1] - 1] == PF_TOKEN_END;
}

static void head_ref(const subject *s, const float *h, const int32_t rows[2], double *out)
{
    const int outputs = pf_config_outputs(pf_model_config(s->model));
    const float *weight = s->trained + s->params->head_weight, *bias = s->trained + s->params->head_bias;
    for (int c = 0; c < outputs; c++) {
        out[c] = (double)bias[c];
        for (int32_t n = rows[0]; n < rows[1]; n++)
            for (int d = 0; d < D; d++)
                out[c] += (double)weight[c * D + d] * (double)h[n * D + d] / (rows[1] - rows[0]);
    }
}

START_TEST(outputs_are_the_head_of_residues_or_of_their_mean)
{
    static float got[ROWS * C], h[ROWS * D];
    static double expected[ROWS * C];
    const pf_model_limits limits = {
        .max_rows = ROWS, .max_sequences = SEQUENCES, .max_length = 40, .n_captured = 1, .captured = {-1}};
    subject s = make_subject(_i, false);
    const struct pf_config *c = pf_model_config(s.model);
    const int outputs = pf_config_outputs(c);
    labelled l;
    must(pf_model_resize(s.model, &limits));
    s.params = pf_model_params(s.model);
    fill(&l, &s, -1);
    forward(&s, &l.r.batch, got);
    must(pf_model_read_layer(s.model, 0, h));
    const int count = pf_model_output_rows(s.model);
    ck_assert_int_eq(count, is_of_sequences(c) ? l.r.batch.n_sequences : l.r.batch.n_rows);
    for (int i = 0; i < count; i++) {
        int32_t rows[2];
        rows_of(&l, c, i, rows);
        head_ref(&s, h, rows, expected + i * outputs);
    }
    // Sums of 24 products of about 1, of a mean of up to 27: a few roundings of 6e-8.
    test_close("outputs", got, expected, (size_t)(count * outputs), 1e-6);
    subject_free(&s);
}
END_TEST

START_TEST(the_loss_is_that_of_the_labels)
{
    static float got[ROWS * C];
    subject s = make_subject(_i, false);
    const struct pf_config *c = pf_model_config(s.model);
    labelled l;
    pf_metrics m;
    double loss = 0;
    int hits = 0;
    fill(&l, &s, -1);
    forward(&s, &l.r.batch, got);
    for (int i = 0; i < pf_model_output_rows(s.model); i++) {
        const int32_t row = is_of_sequences(c) ? l.r.start[i] : i, target = l.r.target[row];
        double y[C];
        for (int k = 0; k < C; k++) y[k] = (double)got[i * pf_config_outputs(c) + k];
        if (target < 0) continue;
        if (c->task.type == PF_TASK_REGRESSION) {
            loss += pow(y[0] - (double)l.value[row], 2);
        } else {
            loss += cross_entropy_ref(y, target, C);
            hits += is_hit_ref(y, target, C);
        }
    }
    must(pf_model_clear_metrics(s.model));
    must(pf_model_loss(s.model, 1));
    must(pf_model_read_metrics(s.model, &m));
    ck_assert_int_eq(m.targets, l.n_labels);
    ck_assert_int_eq(m.residue_targets, l.n_labels);
    ck_assert_int_eq(m.hits, hits);
    ck_assert_int_eq(m.residue_hits, hits);
    // Of at most 24 rows, each right to a few roundings.
    ck_assert_double_le(fabs(m.loss - loss), 1e-6 * loss);
    ck_assert(m.residue_loss == m.loss);
    subject_free(&s);
}
END_TEST

START_TEST(a_sequence_gives_the_same_bits_alone_and_in_company)
{
    static float together[ROWS * C], alone[ROWS * C];
    subject s = make_subject(_i, false);
    const struct pf_config *c = pf_model_config(s.model);
    labelled all, one;
    fill(&all, &s, -1);
    forward(&s, &all.r.batch, together);
    for (int b = 0; b < SEQUENCES; b++) {
        const size_t first = (size_t)(is_of_sequences(c) ? b : all.r.start[b]) * (size_t)pf_config_outputs(c);
        fill(&one, &s, b);
        forward(&s, &one.r.batch, alone);
        ck_assert_mem_eq(alone, together + first, pf_model_logits_count(s.model) * sizeof *alone);
    }
    subject_free(&s);
}
END_TEST

START_TEST(a_sequence_without_residues_gives_the_bias)
{
    float got[C];
    subject s = make_subject(0, false);
    const int32_t start[] = {0, 2}, token[] = {PF_TOKEN_BEGIN, PF_TOKEN_END},
                  target[] = {PF_NO_TARGET, PF_NO_TARGET};
    const uint64_t number = 0;
    const pf_batch batch = {.n_sequences = 1,
                            .n_rows = 2,
                            .longest = 2,
                            .start = start,
                            .token = token,
                            .target = target,
                            .number = &number};
    forward(&s, &batch, got);
    ck_assert_mem_eq(got, s.trained + s.params->head_bias, sizeof got);
    subject_free(&s);
}
END_TEST

static int64_t bytes_beyond_plan(const char *const *settings, bool training)
{
    const uint64_t before = pf_device_bytes(test_device());
    subject s = subject_create(settings, SETTINGS, training);
    const pf_plan *plan = pf_model_plan(s.model);
    const uint64_t used = pf_device_bytes(test_device()) - before;
    const uint64_t planned = pf_plan_total_bytes(plan, false) - plan->moments; // these are the trainer's
    subject_free(&s);
    return (int64_t)used - (int64_t)planned;
}

// The plan leaves out small buffers of reductions: of classes as many as of letters, of squared errors fewer.
START_TEST(the_plan_has_what_a_task_needs)
{
    static const char *const none[SETTINGS] = {"attention.kernel=elu1", "norm_placement=pre"};
    for (int training = 0; training < 2; training++) {
        const int64_t beyond = bytes_beyond_plan(none, training);
        for (int kind = 0; kind < 3; kind++) { // up to 256 parts of 16 bytes
            const int64_t difference = bytes_beyond_plan(kinds[kind], training) - beyond;
            ck_assert_msg(llabs(difference) <= 4096 + 64, "kind %d: %lld bytes", kind, (long long)difference);
            if (kind < 2) ck_assert_int_eq(difference, 0);
        }
    }
}
END_TEST

START_TEST(a_label_beyond_the_classes_is_refused)
{
    subject s = make_subject(_i, false);
    const pf_pass pass = {0};
    labelled l;
    fill(&l, &s, -1);
    l.r.target[l.r.start[1]] = C;
    ck_assert_int_eq(pf_model_forward(s.model, &l.r.batch, &pass), PF_ERROR_USAGE);
    ck_assert_str_eq(pf_error_message(), "label 3 at row 17, the task has 3 classes");
    subject_free(&s);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("task");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 600);
    tcase_add_loop_test(all, the_gradient_of_every_tensor_is_that_of_the_loss, 0, test_small() ? 3 : KINDS);
    tcase_add_loop_test(all, outputs_are_the_head_of_residues_or_of_their_mean, 0, KINDS);
    tcase_add_loop_test(all, the_loss_is_that_of_the_labels, 0, KINDS);
    tcase_add_loop_test(all, a_sequence_gives_the_same_bits_alone_and_in_company, 0, KINDS);
    tcase_add_test(all, a_sequence_without_residues_gives_the_bias);
    tcase_add_test(all, the_plan_has_what_a_task_needs);
    tcase_add_loop_test(all, a_label_beyond_the_classes_is_refused, 0, 2);
    suite_add_tcase(s, all);
    return s;
}
