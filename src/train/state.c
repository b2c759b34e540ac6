// state.json of a checkpoint. See checkpoint.h.
#include "train/state.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { STATE_LIMIT_BYTES = 1 << 20 };

static void free_list(char **list, size_t count)
{
    for (size_t i = 0; list && i < count; i++) pf_free(list[i]);
    pf_free(list);
}

void pf_training_state_free(pf_training_state *state)
{
    free_list(state->train_files, state->n_train_files);
    free_list(state->valid_files, state->n_valid_files);
    pf_free(state->labels_file);
    pf_free(state->label_column);
    memset(state, 0, sizeof *state);
}

static json_t *list_of(char **list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(array, json_string_nocheck(list[i]));
    return array;
}

// What only some runs have.
static void add_rare(json_t *json, const pf_training_state *s)
{
    char loss[40];
    snprintf(loss, sizeof loss, "%.17g", s->best_loss);
    if (s->labels_file)
        json_object_set_new(json, "labels",
                            json_pack("{s:s, s:s*, s:s, s:s}", "file", s->labels_file, "column",
                                      s->label_column, "train", s->train_labels, "valid", s->valid_labels));
    if (s->best_step > 0)
        json_object_set_new(json, "best",
                            json_pack("{s:I, s:s, s:I}", "step", (json_int_t)s->best_step, "loss", loss,
                                      "evaluations_since", (json_int_t)s->evaluations_since_best));
}

pf_status pf_training_state_write(const pf_training_state *s, const char *path, char *sha256_hex)
{
    char cursor[32], seconds[40]; // jansson has no unsigned 64-bit integers, and rounds reals its own way
    snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)s->cursor);
    snprintf(seconds, sizeof seconds, "%.17g", s->seconds);
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:b, s:{s:s, s:s, s:o, s:o}, s:{s:s, s:s}}", "step", (json_int_t)s->step, "cursor",
        cursor, "seconds", seconds, "evaluation_due", s->evaluation_due, "data", "train", s->train_data,
        "valid", s->valid_data, "train_files", list_of(s->train_files, s->n_train_files), "valid_files",
        list_of(s->valid_files, s->n_valid_files), "device", "name", s->device, "driver", s->driver);
    if (json) add_rare(json, s);
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    PF_CHECK(text, PF_ERROR_FAILED, "%s: no memory for its text", path);
    const pf_status status = pf_write_file(path, text, strlen(text), sha256_hex);
    free(text);
    return status;
}

static pf_status read_list(const char *path, json_t *array, char ***list, size_t *count)
{
    void *memory = NULL;
    PF_CHECK(json_is_array(array), PF_ERROR_INPUT, "%s: data.train_files and data.valid_files must be lists",
             path);
    PF_TRY(pf_alloc(&memory, json_array_size(array), sizeof(char *), "file names"));
    *list = memory;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *name = json_string_value(json_array_get(array, i));
        PF_CHECK(name, PF_ERROR_INPUT, "%s: file names must be texts", path);
        PF_TRY(pf_copy_text(&(*list)[i], name));
        *count = i + 1;
    }
    return PF_OK;
}

static pf_status copy_fixed(const char *path, const char *text, char *out, size_t size)
{
    PF_CHECK(strlen(text) < size, PF_ERROR_INPUT, "%s: \"%.20s...\" is too long", path, text);
    memcpy(out, text, strlen(text) + 1);
    return PF_OK;
}

static pf_status read_labels(const char *path, json_t *labels, pf_training_state *s)
{
    const char *file, *column = NULL, *train, *valid;
    json_error_t error;
    if (!labels) return PF_OK;
    PF_CHECK(json_unpack_ex(labels, &error, 0, "{s:s, s?s, s:s, s:s}", "file", &file, "column", &column,
                            "train", &train, "valid", &valid) == 0,
             PF_ERROR_INPUT, "%s: labels: %s", path, error.text);
    PF_TRY(pf_copy_text(&s->labels_file, file));
    if (column) PF_TRY(pf_copy_text(&s->label_column, column));
    PF_TRY(copy_fixed(path, train, s->train_labels, sizeof s->train_labels));
    return copy_fixed(path, valid, s->valid_labels, sizeof s->valid_labels);
}

static pf_status read_best(const char *path, json_t *best, pf_training_state *s)
{
    json_int_t step = 0, since = 0;
    const char *loss;
    json_error_t error;
    if (!best) return PF_OK;
    PF_CHECK(json_unpack_ex(best, &error, 0, "{s:I, s:s, s:I}", "step", &step, "loss", &loss,
                            "evaluations_since", &since) == 0,
             PF_ERROR_INPUT, "%s: best: %s", path, error.text);
    PF_CHECK(step > 0 && since >= 0 && pf_parse_number(loss, -1e300, 1e300, &s->best_loss) == PF_OK,
             PF_ERROR_INPUT, "%s: best: expected a step, a loss and a number of evaluations since", path);
    s->best_step = step;
    s->evaluations_since_best = since;
    return PF_OK;
}

static pf_status read_fields(const char *path, json_t *json, pf_training_state *s)
{
    json_int_t step = 0;
    int due = 0;
    const char *cursor, *seconds, *train, *valid, *name, *driver;
    json_t *train_files, *valid_files;
    json_error_t error;
    const int bad =
        json_unpack_ex(json, &error, 0, "{s:I, s:s, s:s, s:b, s:{s:s, s:s, s:o, s:o}, s:{s:s, s:s}}", "step",
                       &step, "cursor", &cursor, "seconds", &seconds, "evaluation_due", &due, "data", "train",
                       &train, "valid", &valid, "train_files", &train_files, "valid_files", &valid_files,
                       "device", "name", &name, "driver", &driver);
    PF_CHECK(!bad, PF_ERROR_INPUT, "%s: %s", path, error.text);
    PF_CHECK(step >= 0, PF_ERROR_INPUT, "%s: step %lld, expected 0 or more", path, (long long)step);
    int64_t place = 0;
    PF_CHECK(pf_parse_integer(cursor, 0, INT64_MAX, &place) == PF_OK, PF_ERROR_INPUT,
             "%s: cursor must be a number of 0 or more", path);
    PF_CHECK(pf_parse_number(seconds, 0, 1e15, &s->seconds) == PF_OK, PF_ERROR_INPUT,
             "%s: seconds must be a number of 0 or more", path);
    s->step = step;
    s->evaluation_due = due;
    s->cursor = (uint64_t)place;
    PF_TRY(copy_fixed(path, train, s->train_data, sizeof s->train_data));
    PF_TRY(copy_fixed(path, valid, s->valid_data, sizeof s->valid_data));
    PF_TRY(copy_fixed(path, name, s->device, sizeof s->device));
    PF_TRY(copy_fixed(path, driver, s->driver, sizeof s->driver));
    PF_TRY(read_labels(path, json_object_get(json, "labels"), s));
    PF_TRY(read_best(path, json_object_get(json, "best"), s));
    PF_TRY(read_list(path, train_files, &s->train_files, &s->n_train_files));
    return read_list(path, valid_files, &s->valid_files, &s->n_valid_files);
}

pf_status pf_checkpoint_read_state(const char *checkpoint, pf_training_state *out)
{
    pf_status status;
    char *path = NULL, *text = NULL;
    size_t length = 0;
    json_t *json = NULL;
    json_error_t error;
    pf_training_state state = {0};
    PF_TRY_OR(done, pf_join_path(&path, checkpoint, "state.json"));
    PF_TRY_OR(done, pf_read_file(path, STATE_LIMIT_BYTES, &text, &length));
    json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    status = json ? read_fields(path, json, &state)
                  : pf_fail(PF_ERROR_INPUT, "%s: line %d: %s", path, error.line, error.text);
    if (status == PF_OK)
        *out = state;
    else
        pf_training_state_free(&state);
done:
    json_decref(json);
    pf_free(text);
    pf_free(path);
    return status;
}
