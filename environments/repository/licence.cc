// DetectLicence: by the phrases that tell the texts apart.
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "environments/repository/candidate.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

constexpr size_t kTextBytesMax = 256 << 10;

// Lower case, with every run of white space and comment decoration one space.
std::string Normalised(std::string_view text) {
  std::string result;
  for (const char c : LowerCase(std::string(text.substr(0, kTextBytesMax)))) {
    const bool gap =
        std::isspace(static_cast<unsigned char>(c)) || c == '*' || c == '#' || c == '>';
    if (!gap) {
      result += c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  return result;
}

// The GNU licences are the same text for "only" and "or later"; the choice stands in a notice.
std::string GnuId(const std::string& text, std::string id) {
  // The text's own appendix ("How to Apply") recommends "or later" to everybody.
  const std::string own = text.substr(0, text.find("how to apply these terms"));
  const bool later = own.find("(at your option) any later version") != std::string::npos;
  return id + (later ? "-or-later" : "-only");
}

std::string IdOfText(std::string_view bytes) {
  const std::string text = Normalised(bytes);
  const auto has = [&text](std::string_view phrase) {
    return text.find(phrase) != std::string::npos;
  };
  // The titles stand at the top; later texts name the earlier ones in their bodies.
  const std::string top = text.substr(0, 400);
  const auto titled = [&top](std::string_view phrase) {
    return top.find(phrase) != std::string::npos;
  };
  if (titled("gnu affero general public license")) return GnuId(text, "AGPL-3.0");
  if (titled("gnu lesser general public license")) {
    return GnuId(text, has("version 2.1") && !titled("version 3") ? "LGPL-2.1" : "LGPL-3.0");
  }
  if (titled("gnu library general public license")) return GnuId(text, "LGPL-2.0");
  if (titled("gnu general public license")) {
    return GnuId(text, titled("version 3") || has("either version 3") ? "GPL-3.0" : "GPL-2.0");
  }
  if (has("apache license") && has("version 2.0")) return "Apache-2.0";
  if (has("mozilla public license") && (has("version 2.0") || has("v. 2.0"))) return "MPL-2.0";
  if (has("python software foundation license")) return "PSF-2.0";
  if (has("free and unencumbered software released into the public domain")) return "Unlicense";
  if (has("permission is hereby granted, free of charge, to any person obtaining a copy")) {
    return has("the above copyright notice and this permission notice") ||
                   has("subject to the following conditions")
               ? "MIT"
               : "MIT-0";
  }
  // RE2 is not needed here: "and/or" and "and" are the only variants in use.
  if (has("permission to use, copy, modify, and/or distribute this software for any purpose") ||
      has("permission to use, copy, modify, and distribute this software for any purpose")) {
    return has("provided that the above copyright notice") ? "ISC" : "0BSD";
  }
  if (has("this software is provided 'as-is', without any express or implied warranty") &&
      has("must not be misrepresented")) {
    return "Zlib";
  }
  if (has("redistribution and use in source and binary forms")) {
    if (has("all advertising materials mentioning")) return "BSD-4-Clause";
    return has("endorse or promote products") ? "BSD-3-Clause" : "BSD-2-Clause";
  }
  return "";
}

// Lower is better; negative: no licence file.
int RankOf(const std::string& lower_name) {
  static const RE2 kPlain(R"((?:licen[cs]e|copying|unlicense)(?:\.(?:txt|md|rst))?)");
  static const RE2 kOther(

      R"((?:licen[cs]e|copying|unlicense)[-_.].*|.*[-_.]licen[cs]e(?:\.(?:txt|md|rst))?)");
  if (RE2::FullMatch(lower_name, kPlain)) return 0;
  return RE2::FullMatch(lower_name, kOther) ? 1 : -1;
}

std::string IdOfName(std::string_view name) {
  const std::string text = LowerCase(std::string(name));
  static const std::pair<const char*, const char*> kNames[] = {
      {"mit", "MIT"},
      {"mit license", "MIT"},
      {"the mit license", "MIT"},
      {"apache-2.0", "Apache-2.0"},
      {"apache 2.0", "Apache-2.0"},
      {"apache license 2.0", "Apache-2.0"},
      {"apache license, version 2.0", "Apache-2.0"},
      {"apache software license", "Apache-2.0"},
      {"bsd-2-clause", "BSD-2-Clause"},
      {"bsd-3-clause", "BSD-3-Clause"},
      {"isc", "ISC"},
      {"isc license (iscl)", "ISC"},
      {"mpl-2.0", "MPL-2.0"},
      {"mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"},
      {"python software foundation license", "PSF-2.0"},
      {"psf-2.0", "PSF-2.0"},
      {"unlicense", "Unlicense"},
      {"the unlicense (unlicense)", "Unlicense"},
      {"0bsd", "0BSD"},
      {"zlib", "Zlib"},
      {"zlib/libpng license", "Zlib"},
      {"gpl-2.0-only", "GPL-2.0-only"},
      {"gpl-2.0-or-later", "GPL-2.0-or-later"},
      {"gpl-3.0-only", "GPL-3.0-only"},
      {"gpl-3.0-or-later", "GPL-3.0-or-later"},
      {"gnu general public license v3 (gplv3)", "GPL-3.0-only"},
      {"gnu general public license v3 or later (gplv3+)", "GPL-3.0-or-later"},
      {"gnu general public license v2 (gplv2)", "GPL-2.0-only"},
      {"gnu general public license v2 or later (gplv2+)", "GPL-2.0-or-later"},
      {"lgpl-3.0-or-later", "LGPL-3.0-or-later"},
      {"lgpl-2.1-or-later", "LGPL-2.1-or-later"},
  };
  for (const auto& [known, id] : kNames) {
    if (text == known) return id;
  }
  return "";
}

// From what the packaging files of a tree say.
v1::Licence FromMetadata(const FileTree& tree) {
  static const RE2 kField(
      std::string(R"re((?m)^\s*["']?license["']?\s*[=:]\s*(?:\{\s*text\s*=\s*)?["']?)re") +
      R"re(([^"'\n{}]{2,80}?)["']?\s*[,})]?\s*$)re");
  static const RE2 kClassifier(R"re(License :: (?:OSI Approved :: )?([^"'\n:]{3,80}?)\s*["'\n])re");
  v1::Licence licence;
  for (const char* path :
       {"pyproject.toml", "setup.cfg", "setup.py", "package.json", "Cargo.toml"}) {
    const FileEntry* entry = tree.Find(path);
    if (entry == nullptr || entry->kind == FileEntry::Kind::kSymlink) continue;
    const std::string text = entry->content->substr(0, kTextBytesMax);
    std::string name;
    for (const RE2* pattern : {&kField, &kClassifier}) {
      if (!RE2::PartialMatch(text, *pattern, &name) || IdOfName(name).empty()) continue;
      licence.set_spdx_id(IdOfName(name));
      licence.set_path(path);
      return licence;
    }
  }
  return licence;
}

}  // namespace

v1::Licence DetectLicence(const FileTree& tree) {
  v1::Licence best;
  int best_rank = 3;
  std::vector<std::string> others;
  for (const auto& [path, entry] : tree.files()) {
    if (path.find('/') != std::string::npos || entry.kind == FileEntry::Kind::kSymlink) continue;
    const int rank = RankOf(LowerCase(path));
    if (rank < 0) continue;
    const std::string id = IdOfText(*entry.content);
    if (rank == 1 && !id.empty() && std::find(others.begin(), others.end(), id) == others.end()) {
      others.push_back(id);
    }
    // A plain file that offers a choice between the texts beside it.
    const bool choice = id.empty() && rank == 0 &&
                        Normalised(*entry.content).find("either of") != std::string::npos;
    if (choice) best.set_path(path);
    if (id.empty() || rank >= best_rank || (best_rank == 3 && !best.path().empty())) continue;
    best.set_spdx_id(id);
    best.set_path(path);
    best_rank = rank;
  }
  if (best.spdx_id().empty() && !best.path().empty() && !others.empty()) {
    std::sort(others.begin(), others.end());
    std::string joined = others.front();
    for (size_t i = 1; i < others.size(); ++i) joined += " OR " + others[i];
    best.set_spdx_id(joined);
  }
  const v1::Licence metadata = FromMetadata(tree);
  // A GNU text alone does not say whether later versions are meant; the packaging may.
  const bool later =
      best.spdx_id().ends_with("-only") &&
      metadata.spdx_id() == best.spdx_id().substr(0, best.spdx_id().size() - 5) + "-or-later";
  if (best.spdx_id().empty() || later) best = metadata;
  if (best.spdx_id().empty()) {
    best.Clear();
    best.set_spdx_id("unknown");
  }
  return best;
}

}  // namespace taskmint::environments
