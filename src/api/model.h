// What opening a model is made of, for those who put something else into it first. For src/api only.
#ifndef PF_API_MODEL_H
#define PF_API_MODEL_H

#include "model/files.h"
#include "performer/model.h"

// The model of these arrays on the device; options as of pf_model_open, which change the arrays' configuration.
// Errors: as of pf_model_open.
pf_status pf_model_open_arrays(pf_device *device, const pf_model_options *options, pf_model_arrays *arrays,
                               pf_model **out);

#endif
