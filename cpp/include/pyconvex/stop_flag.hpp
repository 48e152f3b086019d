// How another thread asks a kernel to end early.
#pragma once

namespace pyconvex {

/// Points to a byte that somebody else may set; null: nobody will.
struct StopFlag {
  const volatile unsigned char* byte = nullptr;

  bool is_set() const { return byte != nullptr && *byte != 0; }
};

}  // namespace pyconvex
