// Manifests. See manifest.h.
#include "store/manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

enum { LARGEST_MANIFEST = 1 << 20, DIGEST_LENGTH = 64 };

struct pf_manifest {
    pf_text json;
    int count;
};

pf_status pf_manifest_create(pf_manifest **out)
{
    *out = NULL;
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_manifest), "manifest"));
    *out = memory;
    return PF_OK;
}

void pf_manifest_free(pf_manifest *manifest)
{
    if (!manifest) return;
    pf_text_free(&manifest->json);
    pf_free(manifest);
}

static pf_status file_size(const char *directory, const char *name, uint64_t *bytes)
{
    char *path = NULL;
    PF_TRY(pf_join_path(&path, directory, name));
    struct stat about;
    const bool is_file = stat(path, &about) == 0 && S_ISREG(about.st_mode);
    pf_free(path);
    PF_CHECK(is_file, PF_ERROR_INPUT, "%s/%s: is missing", directory, name);
    *bytes = (uint64_t)about.st_size;
    return PF_OK;
}

pf_status pf_manifest_add(pf_manifest *manifest, const char *directory, const char *name, const char *sha256_hex)
{
    uint64_t bytes = 0;
    PF_TRY(file_size(directory, name, &bytes));
    PF_TRY(pf_text_add(&manifest->json, "%s\n  {\"name\": ", manifest->count ? "," : ""));
    PF_TRY(pf_text_add_json(&manifest->json, name, strlen(name)));
    PF_TRY(pf_text_add(&manifest->json, ", \"bytes\": %" PRIu64 ", \"sha256\": \"%s\"}", bytes, sha256_hex));
    manifest->count++;
    return PF_OK;
}

pf_status pf_manifest_write(const pf_manifest *manifest, const char *directory)
{
    pf_text text = {0};
    char *path = NULL;
    pf_status status;
    PF_TRY_OR(done, pf_text_add(&text, "{\"files\": [%s\n]}\n", manifest->count ? manifest->json.data : ""));
    PF_TRY_OR(done, pf_join_path(&path, directory, PF_MANIFEST_NAME));
    PF_TRY_OR(done, pf_write_file(path, text.data, text.length, NULL));
done:
    pf_text_free(&text);
    pf_free(path);
    return status;
}

// --- verifying ----------------------------------------------------------------------------------

static pf_status verify_file(const char *directory, const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *digest = json_string_value(json_object_get(entry, "sha256"));
    const json_t *bytes = json_object_get(entry, "bytes");
    // A name is that of a file in this directory and cannot lead out of it.
    PF_CHECK(name && *name && !strchr(name, '/') && strcmp(name, "..") != 0 && json_is_integer(bytes) && digest &&
                 strlen(digest) == DIGEST_LENGTH,
             PF_ERROR_INPUT, "%s: expected name, bytes and sha256 of each file", PF_MANIFEST_NAME);
    uint64_t size = 0, read = 0;
    PF_TRY(file_size(directory, name, &size));
    PF_CHECK((json_int_t)size == json_integer_value(bytes), PF_ERROR_INPUT, "%s/%s: %" PRIu64
             " bytes, its manifest says %" JSON_INTEGER_FORMAT, directory, name, size, json_integer_value(bytes));
    char *path = NULL;
    char found[DIGEST_LENGTH + 1];
    PF_TRY(pf_join_path(&path, directory, name));
    const pf_status status = pf_file_sha256(path, found, &read);
    pf_free(path);
    if (status != PF_OK) return status;
    PF_CHECK(strcmp(found, digest) == 0, PF_ERROR_INPUT, "%s/%s: its content is not what its manifest says", directory,
             name);
    return PF_OK;
}

static pf_status verify_text(const char *directory, const char *text, size_t length)
{
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    char quoted[PF_QUOTE_BYTES];
    PF_CHECK(root, PF_ERROR_INPUT, "%s/%s: line %d: %s", directory, PF_MANIFEST_NAME, error.line,
             pf_quote(quoted, error.text, strlen(error.text)));
    const json_t *files = json_object_get(root, "files");
    pf_status status = json_array_size(files) > 0 ? PF_OK
                                                  : pf_fail(PF_ERROR_INPUT, "%s/%s: expected a list of files",
                                                            directory, PF_MANIFEST_NAME);
    for (size_t i = 0; i < json_array_size(files) && status == PF_OK; i++)
        status = verify_file(directory, json_array_get(files, i));
    json_decref(root);
    return status;
}

pf_status pf_manifest_verify(const char *directory)
{
    char *path = NULL, *text = NULL;
    size_t length = 0;
    PF_TRY(pf_join_path(&path, directory, PF_MANIFEST_NAME));
    pf_status status = pf_read_file(path, LARGEST_MANIFEST, &text, &length);
    if (status == PF_OK) status = verify_text(directory, text, length);
    pf_free(path);
    pf_free(text);
    return status;
}
