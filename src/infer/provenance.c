// What results were made of. See provenance.h.
#include "infer/provenance.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { MANIFEST_LIMIT_BYTES = 1 << 20, DIGEST_TEXT_BYTES = 33 };

static pf_status manifest_path(const char *output, pf_text *out)
{
    return pf_text_add(out, "%s%cmanifest.json", output, pf_is_directory(output) ? '/' : '.');
}

void pf_provenance_free(pf_provenance *made_of)
{
    pf_text_free(&made_of->options);
}

pf_status pf_provenance_add_stream(pf_provenance *made_of, const pf_stream_options *stream)
{
    static const char *const longs[] = {
        [PF_LONG_CROP] = "crop", [PF_LONG_WINDOW] = "window", [PF_LONG_ERROR] = "error"};
    return pf_text_add(&made_of->options, "long %s, shard %lld/%lld", longs[stream->long_sequences],
                       (long long)(stream->n_shards ? stream->shard : 1),
                       (long long)(stream->n_shards ? stream->n_shards : 1));
}

pf_status pf_provenance_key(const pf_provenance *made_of, pf_digest *out)
{
    pf_text text = {0};
    pf_status status;
    PF_TRY_OR(done, pf_text_add_bytes(&text, &made_of->model, sizeof made_of->model));
    PF_TRY_OR(done, pf_text_add(&text, "%s", made_of->options.data));
    *out = pf_digest_of(text.data, text.length);
done:
    pf_text_free(&text);
    return status;
}

static void digest_text(char out[DIGEST_TEXT_BYTES], pf_digest digest)
{
    snprintf(out, DIGEST_TEXT_BYTES, "%016" PRIx64 "%016" PRIx64, digest.words[0], digest.words[1]);
}

pf_status pf_provenance_add(pf_provenance *made_of, const pf_record *record, pf_digest content)
{
    pf_text text = {0};
    pf_status status;
    PF_TRY_OR(done, pf_text_add_bytes(&text, &made_of->input, sizeof made_of->input));
    PF_TRY_OR(done, pf_text_add_bytes(&text, &content, sizeof content));
    PF_TRY_OR(done, pf_text_add_bytes(&text, record->name, record->name_length));
    made_of->input = pf_digest_of(text.data, text.length);
    made_of->n_sequences++;
done:
    pf_text_free(&text);
    return status;
}

pf_status pf_provenance_add_json(pf_text *json, const pf_provenance *made_of)
{
    char model[DIGEST_TEXT_BYTES], input[DIGEST_TEXT_BYTES];
    digest_text(model, made_of->model);
    digest_text(input, made_of->input);
    return pf_text_add(json,
                       "  \"sequences\": %" PRIu64 ",\n  \"model\": \"%s\",\n  \"input\": \"%s\",\n"
                       "  \"options\": \"%s\"",
                       made_of->n_sequences, model, input, made_of->options.data);
}

static pf_status describe(pf_text *json, const char *output, const pf_provenance *made_of)
{
    char sha256[65];
    uint64_t bytes;
    const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
    PF_TRY(pf_file_sha256(output, sha256, &bytes));
    PF_TRY(pf_text_add(json, "{\n  \"format\": \"%s\",\n  \"file\": ", made_of->format));
    PF_TRY(pf_text_add_json(json, name, strlen(name)));
    PF_TRY(pf_text_add(json, ",\n  \"bytes\": %" PRIu64 ",\n  \"sha256\": \"%s\",\n", bytes, sha256));
    PF_TRY(pf_provenance_add_json(json, made_of));
    return pf_text_add(json, "\n}\n");
}

pf_status pf_provenance_write(const char *output, const pf_provenance *made_of)
{
    pf_text path = {0}, json = {0};
    pf_status status;
    PF_TRY_OR(done, manifest_path(output, &path));
    PF_TRY_OR(done, describe(&json, output, made_of));
    PF_TRY_OR(done, pf_write_file(path.data, json.data, json.length, NULL));
done:
    pf_text_free(&path);
    pf_text_free(&json);
    return status;
}

// A text of the manifest, "" where there is none.
static const char *text_of(const json_t *manifest, const char *key)
{
    const char *text = json_string_value(json_object_get(manifest, key));
    return text ? text : "";
}

static pf_status compare(const char *output, const json_t *manifest, const pf_provenance *made_of)
{
    char model[DIGEST_TEXT_BYTES], input[DIGEST_TEXT_BYTES];
    digest_text(model, made_of->model);
    digest_text(input, made_of->input);
    static const char cure[] = "remove it, or start anew without --resume";
    PF_CHECK(strcmp(text_of(manifest, "model"), model) == 0, PF_ERROR_USAGE,
             "%s is there already, made by another model; %s", output, cure);
    PF_CHECK(strcmp(text_of(manifest, "options"), made_of->options.data) == 0, PF_ERROR_USAGE,
             "%s is there already, made with other options (%.200s; now %.200s); %s", output,
             text_of(manifest, "options"), made_of->options.data, cure);
    PF_CHECK(strcmp(text_of(manifest, "input"), input) == 0, PF_ERROR_USAGE,
             "%s is there already, made of other sequences; %s", output, cure);
    return PF_OK;
}

static pf_status read_and_compare(const char *output, const pf_provenance *made_of, bool must)
{
    pf_text path = {0};
    char *text = NULL;
    size_t bytes;
    json_t *manifest = NULL;
    pf_status status;
    PF_TRY_OR(done, manifest_path(output, &path));
    if (!pf_exists(path.data)) {
        if (must)
            status = pf_fail(PF_ERROR_USAGE,
                             "%s is there already, and no %s says what it was made of; remove it, or "
                             "start anew without --resume",
                             output, path.data);
        goto done;
    }
    PF_TRY_OR(done, pf_read_file(path.data, MANIFEST_LIMIT_BYTES, &text, &bytes));
    manifest = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(manifest))
        status = compare(output, manifest, made_of);
    else
        status = pf_fail(PF_ERROR_INPUT, "%s: is no JSON object", path.data);
done:
    json_decref(manifest);
    pf_free(text);
    pf_text_free(&path);
    return status;
}

pf_status pf_provenance_compare(const char *output, pf_provenance *made_of, pf_pieces *pieces, bool must)
{
    pf_record record;
    pf_status status;
    while ((status = pf_pieces_skip(pieces, &record)) == PF_OK)
        PF_TRY(pf_provenance_add(made_of, &record, pf_digest_of(record.residue, record.n_residues)));
    return status == PF_END ? read_and_compare(output, made_of, must) : status;
}
