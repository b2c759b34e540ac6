// What embeddings were made of, as a file beside them. See embed_manifest.h.
#include "infer/embed_manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { MANIFEST_LIMIT_BYTES = 1 << 20, DIGEST_TEXT_BYTES = 33 };

static pf_status manifest_path(const char *output, pf_text *out)
{
    return pf_text_add(out, "%s.manifest.json", output);
}

static void digest_text(char out[DIGEST_TEXT_BYTES], pf_digest digest)
{
    snprintf(out, DIGEST_TEXT_BYTES, "%016" PRIx64 "%016" PRIx64, digest.words[0], digest.words[1]);
}

pf_status pf_embed_facts_add(pf_embed_facts *facts, const char *name, size_t length, pf_digest content)
{
    pf_text text = {0};
    pf_status status = pf_text_add_bytes(&text, (const char *)&facts->input, sizeof facts->input);
    if (status == PF_OK) status = pf_text_add_bytes(&text, (const char *)&content, sizeof content);
    if (status == PF_OK) status = pf_text_add_bytes(&text, name, length);
    if (status == PF_OK) {
        facts->input = pf_digest_of(text.data, text.length);
        facts->n_sequences++;
    }
    pf_text_free(&text);
    return status;
}

static pf_status add_facts(pf_text *json, const char *output, const pf_embed_facts *facts)
{
    char sha256[65], model[DIGEST_TEXT_BYTES], input[DIGEST_TEXT_BYTES];
    uint64_t bytes;
    const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
    PF_TRY(pf_file_sha256(output, sha256, &bytes));
    digest_text(model, facts->model);
    digest_text(input, facts->input);
    PF_TRY(pf_text_add(json, "{\n  \"format\": \"performer-embeddings-1\",\n  \"file\": "));
    PF_TRY(pf_text_add_json(json, name, strlen(name)));
    PF_TRY(pf_text_add(json, ",\n  \"bytes\": %" PRIu64 ",\n  \"sha256\": \"%s\",\n  \"sequences\": %" PRIu64,
                       bytes, sha256, facts->n_sequences));
    return pf_text_add(json, ",\n  \"model\": \"%s\",\n  \"input\": \"%s\",\n  \"options\": \"%s\"\n}\n",
                       model, input, facts->options.data);
}

pf_status pf_embed_manifest_write(const char *output, const pf_embed_facts *facts)
{
    pf_text path = {0}, json = {0};
    pf_status status;
    PF_TRY_OR(done, manifest_path(output, &path));
    PF_TRY_OR(done, add_facts(&json, output, facts));
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

static pf_status compare(const char *output, const json_t *manifest, const pf_embed_facts *facts)
{
    char model[DIGEST_TEXT_BYTES], input[DIGEST_TEXT_BYTES];
    digest_text(model, facts->model);
    digest_text(input, facts->input);
    static const char cure[] = "remove it, or start anew without --resume";
    PF_CHECK(strcmp(text_of(manifest, "model"), model) == 0, PF_ERROR_USAGE,
             "%s is there already, made by another model; %s", output, cure);
    PF_CHECK(strcmp(text_of(manifest, "options"), facts->options.data) == 0, PF_ERROR_USAGE,
             "%s is there already, made with other options (%.200s; now %.200s); %s", output,
             text_of(manifest, "options"), facts->options.data, cure);
    PF_CHECK(strcmp(text_of(manifest, "input"), input) == 0, PF_ERROR_USAGE,
             "%s is there already, made of other sequences; %s", output, cure);
    return PF_OK;
}

pf_status pf_embed_manifest_compare(const char *output, const pf_embed_facts *facts)
{
    pf_text path = {0};
    char *text = NULL;
    size_t bytes;
    json_t *manifest = NULL;
    pf_status status;
    PF_TRY_OR(done, manifest_path(output, &path));
    if (!pf_exists(path.data)) goto done;
    PF_TRY_OR(done, pf_read_file(path.data, MANIFEST_LIMIT_BYTES, &text, &bytes));
    manifest = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(manifest))
        status = compare(output, manifest, facts);
    else
        status = pf_fail(PF_ERROR_INPUT, "%s: is no JSON object", path.data);
done:
    json_decref(manifest);
    pf_free(text);
    pf_text_free(&path);
    return status;
}
