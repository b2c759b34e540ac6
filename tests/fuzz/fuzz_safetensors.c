// Safetensors headers made from bytes: mostly well-formed tables whose types, shapes and offsets are
// nearly right, since random text never gets past the JSON parser. A header that is accepted must
// describe ranges that follow each other from 0 to the end of the data.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/target.h"
#include "store/safetensors.h"

static const char *const types[] = {"F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL", "f32", ""};
static const size_t type_bytes[] = {8, 4, 2, 2, 8, 4, 1, 1, 4, 1};
static const char *const odd[] = {"-1", "1.0", "\"1\"", "9223372036854775807", "4294967296", "null", "[]", "{}"};

typedef struct reader {
    const uint8_t *data;
    size_t left;
} reader;

static unsigned take(reader *bytes)
{
    if (!bytes->left) return 0;
    bytes->left--;
    return *bytes->data++;
}

typedef struct table {
    char text[1 << 14];
    size_t length;
    uint64_t end;
} table;

static void add(table *header, const char *text)
{
    const size_t room = sizeof header->text - header->length;
    const size_t wanted = strlen(text);
    if (wanted >= room) return;
    memcpy(header->text + header->length, text, wanted);
    header->length += wanted;
}

static void add_number(table *header, uint64_t number, reader *bytes)
{
    char text[40];
    const unsigned oddity = take(bytes);
    snprintf(text, sizeof text, "%" PRIu64, number + (oddity == 1) - (oddity == 2));
    add(header, oddity >= 248 ? odd[oddity - 248] : text);
}

static void add_tensor(table *header, reader *bytes)
{
    const unsigned type = take(bytes) % 64 < 60 ? take(bytes) % 8 : 8 + take(bytes) % 2;
    char text[80];
    snprintf(text, sizeof text, "\"t%u\":{\"dtype\":\"%s\",\"shape\":[", take(bytes), types[type]);
    add(header, text);
    uint64_t count = type_bytes[type];
    for (unsigned i = 0, rank = take(bytes) % 4; i < rank; i++) {
        const unsigned size = take(bytes) % 5;
        add(header, i ? "," : "");
        add_number(header, size, bytes);
        count *= size;
    }
    add(header, "],\"data_offsets\":[");
    add_number(header, header->end, bytes);
    add(header, ",");
    header->end += count;
    add_number(header, header->end, bytes);
    add(header, "]}");
}

static void check(const char *text, size_t length, uint64_t data_bytes)
{
    pf_safetensors *file = NULL;
    const pf_status status = pf_safetensors_parse(text, length, data_bytes, &file);
    if (status != PF_OK && status != PF_ERROR_INPUT) abort();
    if (status != PF_OK) return;
    uint64_t end = 8 + length;
    for (int i = 0; i < pf_safetensors_count(file); i++) {
        const pf_tensor_info *tensor = pf_safetensors_get(file, i);
        if (tensor->offset != end || pf_safetensors_find(file, tensor->name) != tensor) abort();
        if (tensor->bytes != tensor->count * pf_number_type_bytes(tensor->type)) abort();
        end += tensor->bytes;
    }
    if (end != 8 + length + data_bytes) abort();
    pf_safetensors_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reader bytes = {data, size};
    if (take(&bytes) % 8 == 0) {
        check((const char *)bytes.data, bytes.left, take(&bytes));
        return 0;
    }
    static table header;
    header.length = 0;
    header.end = 0;
    add(&header, "{");
    for (unsigned i = 0, tensors = take(&bytes) % 5; i < tensors; i++) {
        add(&header, i ? "," : "");
        add_tensor(&header, &bytes);
    }
    add(&header, "}");
    const unsigned oddity = take(&bytes);
    check(header.text, header.length, header.end + (oddity == 1));
    return 0;
}
