// All of pyconvex, in the order of the flow.
#pragma once

#include "pyconvex/config.hpp"
#include "pyconvex/matrix.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/pricing.hpp"
