// Training steps, prepared ahead of time. See loader.h.
//
// One request is under way at most: a buffer is lent to the caller while the thread fills the
// other. The list and the step number belong to whoever fills.
#include "data/loader.h"

#include <pthread.h>
#include <signal.h>

#include "base/memory.h"
#include "data/endless.h"
#include "data/loader_step.h"

typedef enum work_state { IDLE, WANTED, READY } work_state;

struct pf_loader {
    pf_loader_options options;
    pf_endless list;
    uint64_t step, cursor;     // of the next step to be filled
    pf_step_buffer buffers[2]; // without a thread only the first is used
    int filling;               // the buffer that is filled or was filled last

    bool has_thread, quit;
    work_state state;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

static void fill(pf_loader *loader)
{
    pf_step_buffer *buffer = &loader->buffers[loader->filling];
    pf_step_buffer_fill(buffer, &loader->list, &loader->options, loader->step, loader->cursor);
    loader->step++;
    loader->cursor = buffer->step.cursor;
}

static void *work(void *argument)
{
    pf_loader *loader = argument;
    pthread_mutex_lock(&loader->mutex);
    while (!loader->quit) {
        if (loader->state != WANTED) {
            pthread_cond_wait(&loader->changed, &loader->mutex);
            continue;
        }
        pthread_mutex_unlock(&loader->mutex);
        fill(loader); // nobody else looks at the list or this buffer until the state is READY
        pthread_mutex_lock(&loader->mutex);
        loader->state = READY;
        pthread_cond_broadcast(&loader->changed);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

// Signals are for the thread that trains. Without a thread the loader works all the same.
static void start_thread(pf_loader *loader)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->changed, NULL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    loader->has_thread = pthread_create(&loader->thread, NULL, work, loader) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (loader->has_thread) return;
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->mutex);
}

static void set_state(pf_loader *loader, work_state state)
{
    pthread_mutex_lock(&loader->mutex);
    loader->state = state;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
}

// Until no filling is under way.
static void wait(pf_loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    while (loader->state == WANTED) pthread_cond_wait(&loader->changed, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
}

static pf_status check(const pf_corpus *corpus, const pf_loader_options *options)
{
    const uint64_t longest = corpus->longest + 2;
    const uint64_t window = options->concat || longest > options->max_length ? options->max_length : longest;
    PF_CHECK(options->max_length > 0 && options->batch_tokens > 0 && options->micro_batch_sequences > 0,
             PF_ERROR_USAGE, "a training step must hold at least a token");
    PF_CHECK(!options->labels || !options->concat, PF_ERROR_USAGE,
             "train.packing concat joins sequences, whose labels then belong to nothing; expected pad");
    PF_CHECK(options->batch_tokens <= INT32_MAX && options->micro_batch_tokens <= INT32_MAX, PF_ERROR_USAGE,
             "train.batch_tokens and train.micro_batch_tokens can be 2147483647 at most");
    PF_CHECK(options->micro_batch_tokens >= window, PF_ERROR_USAGE,
             "train.micro_batch_tokens %llu: expected at least %llu, the tokens of the longest window",
             (unsigned long long)options->micro_batch_tokens, (unsigned long long)window);
    return PF_OK;
}

pf_status pf_loader_create(const pf_corpus *corpus, const pf_loader_options *options, pf_loader **out)
{
    PF_TRY(check(corpus, options));
    void *memory = NULL;
    PF_TRY(pf_alloc(&memory, 1, sizeof(pf_loader), "loader"));
    pf_loader *loader = memory;
    loader->options = *options;
    loader->step = 1;
    pf_status status;
    PF_TRY_OR(done, pf_endless_create(&loader->list, corpus, options->shuffle, options->shuffle_seed));
    PF_TRY_OR(done, pf_step_buffer_create(&loader->buffers[0], corpus, options));
    if (options->prefetch) {
        PF_TRY_OR(done, pf_step_buffer_create(&loader->buffers[1], corpus, options));
        start_thread(loader);
    }
    *out = loader;
done:
    if (status != PF_OK) pf_loader_free(loader);
    return status;
}

void pf_loader_free(pf_loader *loader)
{
    if (!loader) return;
    if (loader->has_thread) {
        wait(loader);
        pthread_mutex_lock(&loader->mutex);
        loader->quit = true;
        pthread_cond_broadcast(&loader->changed);
        pthread_mutex_unlock(&loader->mutex);
        pthread_join(loader->thread, NULL);
        pthread_cond_destroy(&loader->changed);
        pthread_mutex_destroy(&loader->mutex);
    }
    pf_step_buffer_free(&loader->buffers[0]);
    pf_step_buffer_free(&loader->buffers[1]);
    pf_endless_free(&loader->list);
    pf_free(loader);
}

void pf_loader_seek(pf_loader *loader, uint64_t step, uint64_t cursor)
{
    if (loader->has_thread) {
        wait(loader);
        set_state(loader, IDLE); // what was prepared is dropped
    }
    loader->step = step;
    loader->cursor = cursor;
    if (loader->options.concat)
        pf_endless_seek_tokens(&loader->list, cursor);
    else
        pf_endless_seek(&loader->list, cursor);
}

const pf_step *pf_loader_next(pf_loader *loader)
{
    if (!loader->has_thread) {
        fill(loader);
        return &loader->buffers[0].step;
    }
    pthread_mutex_lock(&loader->mutex);
    if (loader->state == IDLE) loader->state = WANTED;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
    wait(loader);
    const pf_step *ready = &loader->buffers[loader->filling].step;
    loader->filling = 1 - loader->filling;
    set_state(loader, WANTED);
    return ready;
}
