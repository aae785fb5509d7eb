#include "datasets/blob_store.h"
