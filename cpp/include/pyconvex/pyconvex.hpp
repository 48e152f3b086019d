// All of pyconvex, in the order of the flow.
#pragma once

#include "pyconvex/arrangement.hpp"
#include "pyconvex/config.hpp"
#include "pyconvex/fit.hpp"
#include "pyconvex/losses.hpp"
#include "pyconvex/matrix.hpp"
#include "pyconvex/network.hpp"
#include "pyconvex/patterns.hpp"
#include "pyconvex/price.hpp"
#include "pyconvex/pricing.hpp"
#include "pyconvex/program.hpp"
#include "pyconvex/solver.hpp"
