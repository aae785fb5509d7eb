// taskmint.toml: what a repository says about how it is set up and tested.
#ifndef TASKMINT_DATASETS_REPOSITORY_SETTINGS_H_
#define TASKMINT_DATASETS_REPOSITORY_SETTINGS_H_

#include <string>
#include <string_view>

#include "proto/base/status.h"
#include "proto/job.pb.h"

namespace taskmint::datasets {

// The file's name, in the top folder of a repository.
inline constexpr char kSettingsFile[] = "taskmint.toml";
inline constexpr size_t kSettingsBytesMax = 64 << 10;

// Parses TOML with these keys, all optional, at the top level:
//   setup = "shell script"           run in the work folder while the environment is built
//   test_command = "python -m pytest tests"
//   packages = ["numpy<2"]           as the driver's package manager spells them
//   build_hosts = ["example.org", "example.org:8443"]
//   test_wall_minutes_max = 10       0.1 to 1,440
// `name` stands in messages ("taskmint.toml"). INVALID_ARGUMENT (config), with the line, for what
// is no TOML, is larger than 64 KiB or nests deeper than 32, and for unknown keys and unusable
// values. The bytes may be hostile. Thread-safe.
Result<v1::RepositorySettings> ParseRepositorySettings(std::string_view bytes,
                                                       const std::string& name);

}  // namespace taskmint::datasets

#endif  // TASKMINT_DATASETS_REPOSITORY_SETTINGS_H_
