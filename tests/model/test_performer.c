// The model as a whole: gradients of every tensor are those of the loss, a sequence gives the same bits alone
// and in company, and a causal model never looks ahead, not by a bit.
#include <string.h>

#include "data/alphabet.h"
#include "model/subject.h"
#include "support/device.h"
#include "support/suite.h"

enum { A = PF_VOCAB_SIZE, ROWS = SUBJECT_ROWS, SEQUENCES = SUBJECT_SEQUENCES, SETTINGS = 8 };

// Each has something that the others lack. No relu: differences across its kink are no gradient (golden
// training has it).
static const char *const kinds[][SETTINGS] = {
    {"objective=mlm", "position_embedding_type=learned", "attention.kernel=elu1", "attention_bias=true"},
    {"objective=clm", "position_embedding_type=rotary", "attention.kernel=gelu", "attention.local_heads=1"},
    {"objective=mlm", "position_embedding_type=sinusoidal", "attention.type=softmax",
     "tie_word_embeddings=true"},
    {"objective=clm", "position_embedding_type=none", "attention.type=[\"softmax\",\"favor\"]",
     "hidden_act=gelu_tanh"},
    {"objective=mlm", "position_embedding_type=rotary", "attention.renormalize=false",
     "attention.kernel=sigmoid"},
    // ESM-1b, BERT, ESM-2, in their pieces.
    {"objective=mlm", "position_embedding_type=learned", "attention.type=softmax", "embedding_norm=true",
     "token_dropout=true", "head_transform=true", "attention_bias=true"},
    {"objective=mlm", "position_embedding_type=learned", "attention.type=softmax", "embedding_norm=true",
     "norm_placement=post", "head_transform=true", "tie_word_embeddings=true", "attention_bias=true"},
    {"objective=mlm", "position_embedding_type=learned_rotary", "attention.kernel=elu1", "token_dropout=true",
     "rotary_frequencies=[1,0.5,0.2,0.1,0.05,0.01]", "head_transform=true", "tie_word_embeddings=true",
     "contact_head=true"},
    {"objective=mlm", "position_embedding_type=learned", "attention.kernel=elu1", "lora.rank=3",
     "lora.targets=*", "lora.also=embed.position.weight,norm.bias,head.*"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static subject make_subject(int kind, bool training)
{
    return subject_create(kinds[kind], SETTINGS, training);
}

static void logits_of(pf_model *model, const pf_batch *batch, float *out)
{
    const pf_pass pass = {0};
    must(pf_model_forward(model, batch, &pass));
    must(pf_model_read_logits(model, out));
}

START_TEST(the_gradient_of_every_tensor_is_that_of_the_loss)
{
    subject s = make_subject(_i, true);
    subject_rows r;
    subject_rows_fill(&r, -1, pf_model_config(s.model)->token_dropout);
    subject_check_gradients(&s, &r.batch);
    subject_free(&s);
}
END_TEST

START_TEST(a_sequence_gives_the_same_bits_alone_and_in_company)
{
    static float together[ROWS * A], alone[ROWS * A];
    subject s = make_subject(_i, false);
    subject_rows all, one;
    subject_rows_fill(&all, -1, pf_model_config(s.model)->token_dropout);
    logits_of(s.model, &all.batch, together);
    for (int b = 0; b < SEQUENCES; b++) {
        subject_rows_fill(&one, b, pf_model_config(s.model)->token_dropout);
        logits_of(s.model, &one.batch, alone);
        ck_assert_mem_eq(alone, together + (size_t)all.start[b] * A,
                         (size_t)one.batch.n_rows * A * sizeof *alone);
    }
    subject_free(&s);
}
END_TEST

START_TEST(only_a_causal_model_does_not_look_ahead)
{
    static float before[ROWS * A], after[ROWS * A];
    enum { CHANGED = 9 };
    subject s = make_subject(_i, false);
    subject_rows r;
    subject_rows_fill(&r, 2, false);
    logits_of(s.model, &r.batch, before);
    for (int t = CHANGED; t < 29; t++) r.token[t] = (r.token[t] + 7) % PF_RESIDUES;
    logits_of(s.model, &r.batch, after);
    const bool is_same = memcmp(before, after, CHANGED * A * sizeof *before) == 0;
    ck_assert_int_eq(is_same, pf_model_config(s.model)->objective == PF_OBJECTIVE_CLM);
    ck_assert_int_ne(memcmp(before + CHANGED * A, after + CHANGED * A, A * sizeof *before), 0);
    subject_free(&s);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("performer");
    TCase *all = tcase_create("all");
    const int here = test_small() ? 2 : KINDS;
    tcase_set_timeout(all, 600);
    tcase_add_loop_test(all, the_gradient_of_every_tensor_is_that_of_the_loss, 0, here);
    tcase_add_loop_test(all, a_sequence_gives_the_same_bits_alone_and_in_company, 0, here);
    tcase_add_loop_test(all, only_a_causal_model_does_not_look_ahead, 0, here);
    suite_add_tcase(s, all);
    return s;
}
