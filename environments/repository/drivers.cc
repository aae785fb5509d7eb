#include "environments/repository/language_driver.h"
#include "environments/repository/candidate.h"
#include "environments/repository/patch.h"
#include "environments/repository/source_import.h"
