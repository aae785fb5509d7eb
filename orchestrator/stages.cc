#include "datasets/store.h"
#include "sandbox/proxy.h"
#include "verifier/gate.h"
