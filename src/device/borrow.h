// Buffers of a caller's own as the layers above see buffers. The device's side of performer/opencl.h.
#ifndef PF_DEVICE_BORROW_H
#define PF_DEVICE_BORROW_H

#include "device/device.h"
#include "performer/opencl.h"

// `memory`, retained until pf_buffer_free, of at least `bytes`; not counted as the device's. Errors:
// PF_ERROR_USAGE if it is NULL, too small or of another context.
pf_status pf_buffer_borrow(pf_device *device, cl_mem memory, size_t bytes, const char *name, pf_buffer **out);

// Bytes of a caller's buffer; 0 if it is none.
size_t pf_opencl_bytes(cl_mem memory);

#endif
