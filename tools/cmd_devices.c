// performer devices: what there is to run on, what auto takes, and why something is refused.
#include "performer/device.h"

#include <inttypes.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/output.h"

enum { MOST_DEVICES = 64 };

typedef struct devices_options {
    pf_common common;
    bool json;
    const char *output;
} devices_options;

#define AT(field) offsetof(devices_options, field)

static const pf_option table[] = {
    {.name = "json", .type = PF_OPTION_FLAG, .at = AT(json), .help = "print JSON"},
    PF_OUTPUT_ROW(AT(output)),
    {0},
};

static void print_text(pf_output *out, const char *key, const char *text)
{
    pf_output_print(out, ", \"%s\": ", key);
    pf_output_json_text(out, text, strlen(text));
}

static void print_json(pf_output *out, const pf_device_info *d)
{
    pf_output_print(out, "{\"id\": \"%s\"", d->id);
    print_text(out, "platform", d->platform);
    print_text(out, "name", d->name);
    print_text(out, "type", d->type);
    print_text(out, "version", d->version);
    print_text(out, "driver", d->driver);
    pf_output_print(out, ", \"compute_units\": %" PRIu32 ", \"global_bytes\": %" PRIu64, d->compute_units,
                    d->global_bytes);
    pf_output_print(out, ", \"largest_buffer_bytes\": %" PRIu64 ", \"local_bytes\": %" PRIu64,
                    d->largest_buffer_bytes, d->local_bytes);
    pf_output_print(out, ", \"largest_work_group\": %" PRIu64 ", \"usable\": %s", d->largest_work_group,
                    d->usable ? "true" : "false");
    print_text(out, "reason", d->reason);
    pf_output_print(out, ", \"auto\": %s}", d->is_auto ? "true" : "false");
}

static void print_line(pf_output *out, const char *what, const char *text)
{
    pf_output_print(out, "     %-10s", what);
    pf_output_plain_text(out, text, strlen(text));
    pf_output_print(out, "\n");
}

static void print_device(pf_output *out, const pf_device_info *d)
{
    pf_output_print(out, "%s  ", d->id);
    pf_output_plain_text(out, d->name, strlen(d->name));
    pf_output_print(out, "%s\n", d->is_auto ? "   <- auto" : "");
    print_line(out, "type", d->type);
    print_line(out, "platform", d->platform);
    print_line(out, "version", d->version);
    print_line(out, "driver", d->driver);
    pf_output_print(out, "     %-10s%" PRIu32 " compute units, work-groups to %" PRIu64 "\n", "size",
                    d->compute_units, d->largest_work_group);
    pf_output_print(out, "     %-10s%.1f GiB, one buffer to %.1f GiB, local %.0f KiB\n", "memory",
                    (double)d->global_bytes / 0x1p30, (double)d->largest_buffer_bytes / 0x1p30,
                    (double)d->local_bytes / 0x1p10);
    print_line(out, d->usable ? "usable" : "refused", *d->reason ? d->reason : "yes");
}

static pf_status run(void *given)
{
    const devices_options *options = given;
    static pf_device_info infos[MOST_DEVICES];
    int count = 0;
    pf_output *out;
    pf_status status = pf_device_list(infos, MOST_DEVICES, &count);
    if (status != PF_OK) return status;
    status = pf_output_open(options->output, &out);
    if (status != PF_OK) return status;
    if (count > MOST_DEVICES) {
        pf_warn(&options->common, "%d devices; only the first %d are listed", count, MOST_DEVICES);
        count = MOST_DEVICES;
    }
    if (options->json) pf_output_print(out, "{\"devices\": [");
    for (int i = 0; i < count; i++) {
        if (i) pf_output_print(out, options->json ? ",\n " : "\n");
        if (options->json)
            print_json(out, &infos[i]);
        else
            print_device(out, &infos[i]);
    }
    if (options->json) pf_output_print(out, "]}\n");
    return pf_output_commit(out);
}

const pf_command pf_command_devices = {
    .name = "devices",
    .summary = "list the devices that there are to run on",
    .operands = "",
    .details = "Each device is tried with a small kernel of known answer; what cannot be used is listed with "
               "the reason.\n"
               "Choose one with --device P.D, with a part of its name, or with PERFORMER_DEVICE.",
    .example = "performer devices\nperformer devices --json",
    .options = table,
    .options_bytes = sizeof(devices_options),
    .run = run,
};
