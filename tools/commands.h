// The commands: one per cmd_<verb>.c. A new one is a new file, a line here, one in performer.c and
// one in meson.build.
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "tools/options.h"

extern const pf_command pf_command_approx;
extern const pf_command pf_command_attend;
extern const pf_command pf_command_attention_map;
extern const pf_command pf_command_bench;
extern const pf_command pf_command_contacts;
extern const pf_command pf_command_devices;
extern const pf_command pf_command_selftest;
extern const pf_command pf_command_fasta;
extern const pf_command pf_command_split;
extern const pf_command pf_command_export;
extern const pf_command pf_command_import;
extern const pf_command pf_command_init;
extern const pf_command pf_command_info;
extern const pf_command pf_command_train;
extern const pf_command pf_command_embed;
extern const pf_command pf_command_embedding_map;
extern const pf_command pf_command_eval;
extern const pf_command pf_command_logits;
extern const pf_command pf_command_generate;
extern const pf_command pf_command_predict;
extern const pf_command pf_command_report;
extern const pf_command pf_command_ablate;
extern const pf_command pf_command_score;
extern const pf_command pf_command_tune;
extern const pf_command pf_command_variants;

#endif
