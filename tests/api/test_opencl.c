// On a caller's own context, queue and buffers the library gives the bits that it gives by itself, takes
// nothing that it does not give back, and says what does not fit.
#include "performer/opencl.h"

#include <string.h>
#include <unistd.h>

#include "device/opencl.h"
#include "model/performer.h"
#include "performer/logits.h"
#include "support/device.h"
#include "support/suite.h"

enum { B = 2, H = 3, L = 37, E = 8, M = 16, COUNT = B * H * L * E, TENSORS = 4 };

static cl_context context;
static cl_command_queue queue;
static pf_device *device;

static cl_device_id test_device_id(void)
{
    cl_device_id id = NULL;
    ck_assert_int_eq(
        clGetCommandQueueInfo(pf_device_opencl_queue(test_device()), CL_QUEUE_DEVICE, sizeof id, &id, NULL),
        CL_SUCCESS);
    return id;
}

static void open_device(void)
{
    cl_int code;
    cl_device_id id = test_device_id();
    context = clCreateContext(NULL, 1, &id, NULL, NULL, &code);
    ck_assert_int_eq(code, CL_SUCCESS);
    queue = clCreateCommandQueue(context, id, 0, &code);
    ck_assert_int_eq(code, CL_SUCCESS);
    must(pf_device_from_opencl(context, queue, NULL, &device));
}

static void close_device(void)
{
    pf_device_close(device);
    clReleaseCommandQueue(queue);
    clReleaseContext(context);
}

// Who holds the queue, in hundreds, and the buffer.
static cl_uint references(cl_mem memory)
{
    cl_uint of_queue = 0, of_memory = 0;
    clFinish(queue);
    clGetCommandQueueInfo(queue, CL_QUEUE_REFERENCE_COUNT, sizeof of_queue, &of_queue, NULL);
    clGetMemObjectInfo(memory, CL_MEM_REFERENCE_COUNT, sizeof of_memory, &of_memory, NULL);
    return of_queue * 100 + of_memory;
}

// Runtimes hold on to what a command needs, for a moment after its end as well.
static void given_back(cl_mem memory, cl_uint before)
{
    for (int i = 0; i < 2000 && references(memory) != before; i++) usleep(1000);
    ck_assert_uint_eq(references(memory), before);
}

static cl_mem make_buffer(size_t bytes, const void *data)
{
    cl_int code;
    cl_mem memory = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    ck_assert_int_eq(code, CL_SUCCESS);
    if (data)
        ck_assert_int_eq(clEnqueueWriteBuffer(queue, memory, CL_TRUE, 0, bytes, data, 0, NULL, NULL),
                         CL_SUCCESS);
    return memory;
}

static void equal_to(cl_mem memory, const float *expected, size_t count)
{
    static float got[1 << 16];
    ck_assert_uint_le(count, sizeof got / sizeof *got);
    ck_assert_int_eq(clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, count * sizeof *got, got, 0, NULL, NULL),
                     CL_SUCCESS);
    ck_assert_mem_eq(got, expected, count * sizeof *got);
}

// q, k, v and the output's gradient; a projection; results.
static float in[TENSORS][COUNT], out[TENSORS][COUNT], projection[M * E];

static void attend_both_ways(const pf_attention_options *options, const int32_t *lengths)
{
    cl_mem from[TENSORS], to[TENSORS];
    for (int i = 0; i < TENSORS; i++) test_normal(in[i], COUNT, 1, (unsigned)i);
    test_normal(projection, M * E, 1, TENSORS);
    must(pf_attention_run(device, options,
                          &(pf_attention_arrays){B, H, L, E, lengths, in[0], in[1], in[2], in[3], projection,
                                                 M, out[0], out[1], out[2], out[3]}));
    for (int i = 0; i < TENSORS; i++) {
        from[i] = make_buffer(sizeof in[i], in[i]);
        to[i] = make_buffer(sizeof in[i], in[0]); // what it held before is no matter
    }
    cl_mem w = make_buffer(sizeof projection, projection);
    const cl_uint before = references(from[0]);
    must(pf_attention_run_opencl(device, options,
                                 &(pf_attention_opencl){B, H, L, E, lengths, from[0], from[1], from[2],
                                                        from[3], w, M, to[0], to[1], to[2], to[3]}));
    for (int i = 0; i < TENSORS; i++) equal_to(to[i], out[i], COUNT);
    for (int i = 0; i < TENSORS; i++) equal_to(from[i], in[i], COUNT); // inputs are left alone
    given_back(from[0], before);
    for (int i = 0; i < TENSORS; i++) {
        clReleaseMemObject(from[i]);
        clReleaseMemObject(to[i]);
    }
    clReleaseMemObject(w);
}

START_TEST(attention_on_buffers_gives_the_bits_of_attention_on_arrays)
{
    static const int32_t lengths[] = {L, 20};
    pf_attention_options options;
    pf_attention_default(&options);
    options.causal = _i & 1;
    options.exact = _i & 2;
    attend_both_ways(&options, _i & 4 ? lengths : NULL);
}
END_TEST

START_TEST(heads_that_do_not_fit_together_give_the_same_bits)
{
    pf_attention_options options;
    pf_attention_default(&options);
    const uint64_t bytes = device->info.global_bytes;
    const uint64_t allocations = device->allocations;
    attend_both_ways(&options, NULL);
    const uint64_t together = device->allocations - allocations;
    device->info.global_bytes = 300000; // a quarter of it takes no more than some of the six heads
    attend_both_ways(&options, NULL);
    device->info.global_bytes = bytes;
    ck_assert_uint_eq(device->allocations - allocations - together,
                      together + 8); // copies, which in place needs none
}
END_TEST

START_TEST(buffers_that_do_not_fit_are_refused)
{
    pf_attention_options options;
    pf_attention_default(&options);
    options.projected = false;
    cl_mem good = make_buffer(sizeof in[0], in[0]), small = make_buffer(sizeof in[0] - 4, NULL);
    cl_int code;
    cl_mem foreign =
        clCreateBuffer(pf_device_opencl_context(test_device()), CL_MEM_READ_WRITE, sizeof in[0], NULL, &code);
    pf_attention_opencl b = {B, H, L, E, .query = good, .key = good, .value = small, .output = good};
    ck_assert_int_eq(pf_attention_run_opencl(device, &options, &b), PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), "value: a buffer of 7100 bytes, 7104 are needed"), "%s",
                  pf_error_message());
    b.value = foreign;
    ck_assert_int_eq(pf_attention_run_opencl(device, &options, &b), PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), "value: the buffer belongs to another context"), "%s",
                  pf_error_message());
    b.value = NULL;
    ck_assert_int_eq(pf_attention_run_opencl(device, &options, &b), PF_ERROR_USAGE);
    options.projected = true;
    ck_assert_int_eq(pf_attention_run_opencl(device, &options, &b), PF_ERROR_USAGE);
    clReleaseMemObject(good);
    clReleaseMemObject(small);
    clReleaseMemObject(foreign);
}
END_TEST

static void refused(cl_context of, cl_command_queue on, const pf_device_options *options, const char *says)
{
    pf_device *none = NULL;
    ck_assert_int_eq(pf_device_from_opencl(of, on, options, &none), PF_ERROR_USAGE);
    ck_assert_ptr_null(none);
    ck_assert_msg(strstr(pf_error_message(), says), "%s", pf_error_message());
}

START_TEST(queues_that_cannot_serve_are_refused)
{
    cl_int code;
    refused(NULL, queue, NULL, "needs a context and a queue");
    refused(pf_device_opencl_context(test_device()), queue, NULL, "another context");
    refused(context, queue, &(pf_device_options){.profile = true}, "CL_QUEUE_PROFILING_ENABLE");
    refused(context, queue, &(pf_device_options){.selector = "gpu"}, "leave out the selector");
    cl_command_queue loose =
        clCreateCommandQueue(context, test_device_id(), CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    if (code != CL_SUCCESS) return; // a device that knows no such queues
    refused(context, loose, NULL, "out of order");
    clReleaseCommandQueue(loose);
}
END_TEST

START_TEST(the_caller_may_leave_first)
{
    const cl_uint before = references(NULL);
    clRetainCommandQueue(queue);
    clRetainContext(context);
    pf_device *mine = NULL;
    must(pf_device_from_opencl(context, queue, NULL, &mine));
    ck_assert_ptr_eq(pf_device_opencl_context(mine), context);
    ck_assert_ptr_eq(pf_device_opencl_queue(mine), queue);
    ck_assert_str_eq(pf_device_describe(mine)->name, pf_device_describe(test_device())->name);
    clReleaseCommandQueue(queue);
    clReleaseContext(context);
    must(pf_device_sync(mine));
    pf_device_close(mine);
    given_back(NULL, before);
}
END_TEST

enum { ROWS = 22, A = 29, WIDTH = 32 };
static const char text[] = ">a\nMKT*YIAK\n>b\nGSHMLEDPVK\n";

// Logits of the text as the library lends them, one sequence behind the other.
static void lend_logits(pf_model *model, float expected[ROWS * A])
{
    pf_logits *logits = NULL;
    pf_progress progress;
    const pf_sequence_result *result;
    size_t at = 0;
    must(pf_logits_open(model, &(pf_logits_options){.stream = {.text = text, .text_bytes = sizeof text - 1}},
                        &logits));
    while (pf_logits_step(logits, &progress) == PF_OK) {
        const size_t count = pf_logits_results(logits, &result);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_le(at + result[i].count, ROWS * A);
            memcpy(expected + at, result[i].values, result[i].count * sizeof *expected);
            at += result[i].count;
        }
    }
    ck_assert_uint_eq(at, ROWS * A);
    pf_logits_close(logits);
}

static pf_model *open_model(int64_t batch_tokens)
{
    static const char *const settings[] = {"compute.matmul=tile"};
    static const int32_t layers[] = {0, -1};
    pf_model *model = NULL;
    must(pf_model_open(device, PF_TEST_SOURCE "/golden/models/mlm-learned-relu",
                       &(pf_model_options){.settings = settings,
                                           .n_settings = 1,
                                           .layers = layers,
                                           .n_layers = 2,
                                           .batch_tokens = batch_tokens},
                       &model, NULL));
    return model;
}

START_TEST(a_models_rows_come_into_buffers)
{
    static float expected[ROWS * A], last[ROWS * WIDTH];
    pf_model *model = open_model(_i ? 12 : 0); // in one batch and in two
    cl_mem logits = make_buffer(sizeof expected, NULL), rows = make_buffer(sizeof last, NULL);
    cl_mem small = make_buffer(sizeof expected - 4, NULL);
    uint64_t n_rows = 0;
    pf_rows_opencl request = {
        .stream = {.text = text, .text_bytes = sizeof text - 1}, .logits = logits, .layers = {NULL, rows}};
    lend_logits(model, expected);
    must(pf_model_rows_opencl(model, &request, &n_rows));
    ck_assert_uint_eq(n_rows, ROWS);
    equal_to(logits, expected, ROWS * A);
    must(pf_buffer_read(pf_model_layer(model, 1), 0, last,
                        WIDTH * sizeof *last)); // first row of the last batch
    static float got[ROWS * WIDTH];
    clEnqueueReadBuffer(queue, rows, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL);
    ck_assert_mem_eq(got + (_i ? 10 * WIDTH : 0), last, WIDTH * sizeof *got);
    request.logits = small;
    ck_assert_int_eq(pf_model_rows_opencl(model, &request, &n_rows), PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), "room for 21 rows"), "%s", pf_error_message());
    request = (pf_rows_opencl){.stream = request.stream, .layers = {NULL, NULL, rows}};
    ck_assert_int_eq(pf_model_rows_opencl(model, &request, &n_rows), PF_ERROR_USAGE);
    ck_assert_msg(strstr(pf_error_message(), "layer 3 of the 2"), "%s", pf_error_message());
    clReleaseMemObject(logits);
    clReleaseMemObject(rows);
    clReleaseMemObject(small);
    pf_model_close(model);
}
END_TEST

Suite *suite(void)
{
    Suite *s = suite_create("a caller's OpenCL");
    TCase *all = tcase_create("all");
    tcase_add_unchecked_fixture(all, open_device, close_device);
    tcase_add_loop_test(all, attention_on_buffers_gives_the_bits_of_attention_on_arrays, 0, 8);
    tcase_add_test(all, heads_that_do_not_fit_together_give_the_same_bits);
    tcase_add_test(all, buffers_that_do_not_fit_are_refused);
    tcase_add_test(all, queues_that_cannot_serve_are_refused);
    tcase_add_test(all, the_caller_may_leave_first);
    tcase_add_loop_test(all, a_models_rows_come_into_buffers, 0, 2);
    tcase_set_timeout(all, 240);
    suite_add_tcase(s, all);
    return s;
}
