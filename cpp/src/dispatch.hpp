// Run-time choice of the instruction set: one binary, full speed on every x86-64 machine.
#pragma once

#include <cstddef>  // also makes the standard library say which libc it sits on

// PYCONVEX_CLONES in front of a hot function compiles it three times; the loader picks one.
// It needs GCC and glibc's ifunc. Under the thread sanitizer such a library crashes while loading.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12 && !defined(__SANITIZE_THREAD__)
#define PYCONVEX_HAS_CLONES 1
#define PYCONVEX_CLONES \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PYCONVEX_HAS_CLONES 0
#define PYCONVEX_CLONES
#endif
