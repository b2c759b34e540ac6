// The sections of the page that `performer report` writes.
#ifndef TOOLS_REPORT_PAGE_H
#define TOOLS_REPORT_PAGE_H

#include "performer/evaluate.h"
#include "tools/history.h"
#include "tools/page.h"

typedef enum pf_data_state {
    PF_DATA_NONE,    // the run names no files
    PF_DATA_SAME,    // they are there, as the run saw them
    PF_DATA_CHANGED, // they hold other sequences now
    PF_DATA_GONE,    // they cannot be read now
} pf_data_state;

typedef struct pf_report {
    const char *name; // of the run
    const pf_run *run;
    bool has_failed_step; // the last step's numbers were not finite
    pf_history history;
    pf_data_state train_state, valid_state;
    pf_data_facts train, valid;       // where the state is PF_DATA_SAME
    const pf_evaluate_result *result; // NULL: not measured
    const char *result_reason;        // why not, a sentence
    const char *const *result_files;  // what was measured on
    int n_result_files;
    bool is_own_valid;                // these are the run's own validation sequences
    const char *approximation, *maps; // directories, or NULL
} pf_report;

void pf_report_facts(FILE *out, const pf_report *report);
void pf_report_learning(FILE *out, const pf_report *report);
void pf_report_results(FILE *out, const pf_report *report);
void pf_report_speed(FILE *out, const pf_report *report);
// The pictures and tables of a directory that another command wrote. Errors: PF_ERROR_INPUT.
pf_status pf_report_directory(FILE *out, const char *heading, const char *directory, const char *without);

// The first picture of the learning section: perplexity against tokens.
void pf_report_learning_curve(FILE *out, const pf_report *report,
                              void (*write)(FILE *out, const pf_plot *plot));

#endif
