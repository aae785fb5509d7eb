#include "verifier/junit.h"
