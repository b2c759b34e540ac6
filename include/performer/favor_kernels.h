// The kernels of FAVOR: which feature maps there are. One table; configurations, programs and tests are loops over it.
#ifndef PERFORMER_FAVOR_KERNELS_H
#define PERFORMER_FAVOR_KERNELS_H

// Feature maps of FAVOR, a row for each with its constant PF_FAVOR_... and its name in
// configurations. The softmax family approximates softmax attention; the others are generalised attention,
// f(u) + epsilon, with f in cl/maps/NAME.clh.
#define PF_FAVOR_KERNEL_TABLE(ROW)                                                                           \
    ROW(RELU, "relu")                                                                                        \
    ROW(SOFTMAX, "softmax")                                                                                  \
    ROW(SOFTMAX_HYPERBOLIC, "softmax_hyperbolic")                                                            \
    ROW(SOFTMAX_TRIG, "softmax_trig")                                                                        \
    ROW(SOFTMAX_OPRF, "softmax_oprf")                                                                        \
    ROW(EXP, "exp")                                                                                          \
    ROW(GELU, "gelu")                                                                                        \
    ROW(SIGMOID, "sigmoid")                                                                                  \
    ROW(TANH, "tanh")                                                                                        \
    ROW(ABS, "abs")                                                                                          \
    ROW(COS, "cos")                                                                                          \
    ROW(SIN, "sin")                                                                                          \
    ROW(REQU, "requ")                                                                                        \
    ROW(ELU1, "elu1")                                                                                        \
    ROW(IDENTITY, "identity")

typedef enum pf_favor_kernel {
#define PF_FAVOR_CONSTANT(constant, name) PF_FAVOR_##constant,
    PF_FAVOR_KERNEL_TABLE(PF_FAVOR_CONSTANT)
#undef PF_FAVOR_CONSTANT
    PF_FAVOR_KERNELS, // how many there are
} pf_favor_kernel;

#endif
