// DetectLicence: by the phrases that tell the texts apart.
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

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

// What no open licence says: titles and riders of texts that restrict who may use the code, or for
// what. Such texts embed open ones, or name one as what they will turn into.
constexpr std::array<std::string_view, 25> kRestrictions = {
    "business source license",
    "functional source license",
    "fair source license",
    "fair core license",
    "additional use grant",
    "change license",
    "commons clause",
    "elastic license",
    "shall be used for good",
    "hippocratic licen",
    "server side public license",
    "polyform ",
    "prosperity public license",
    "confluent community license",
    "redis source available license",
    "sustainable use license",
    "timescale license",
    "anti-capitalist software license",
    "do no harm license",
    "responsible ai license",
    "non-commercial use",
    "noncommercial use",
    "non-commercial purpose",
    "noncommercial purpose",
    "creative commons attribution-noncommercial"};

// A sentence that stands in the body of one licence and in that of no other here.
constexpr std::string_view kMitBody =
    "permission is hereby granted, free of charge, to any person obtaining a copy";
constexpr std::string_view kIscBody =
    "permission to use, copy, modify, and/or distribute this software for any purpose";
constexpr std::string_view kIscBodyWithAnd =
    "permission to use, copy, modify, and distribute this software for any purpose";
constexpr std::string_view kBsdBody = "redistribution and use in source and binary forms";
constexpr std::string_view kZlibBody =
    "this software is provided 'as-is', without any express or implied warranty";
constexpr std::string_view kUnlicenseBody =
    "free and unencumbered software released into the public domain";
constexpr std::string_view kApacheBody =
    "terms and conditions for use, reproduction, and distribution";
constexpr std::string_view kPythonBody = "psf hereby grants licensee";
constexpr std::string_view kMozillaBody = "each contributor hereby grants you a world-wide";

// What a licence file says.
struct LicenceText {
  std::string id;  // empty: none that is known
  bool restricted = false;
};

class LicenceReader {
 public:
  explicit LicenceReader(std::string_view bytes)
      : text_(Normalised(bytes)), top_(text_.substr(0, kTitleBytesMax)) {}

  LicenceText Read() const {
    if (std::any_of(kRestrictions.begin(), kRestrictions.end(),
                    [this](std::string_view phrase) { return Has(phrase); })) {
      return {"", true};
    }
    // Python's own file holds the licences of its past.
    if (Titled("history of the software") && Has("python software foundation license version 2")) {
      return {"PSF-2.0", false};
    }
    return Bodies() > 1 ? LicenceText() : LicenceText{Id(), false};
  }

 private:
  bool Has(std::string_view phrase) const { return text_.find(phrase) != std::string::npos; }
  // The titles stand at the top; later texts name the earlier ones in their bodies.
  bool Titled(std::string_view phrase) const { return top_.find(phrase) != std::string::npos; }
  // Before a body without a title stands nothing but names; further down it is of something that
  // came along.
  bool Begins(std::string_view body) const { return text_.find(body) < kNamesBytesMax; }
  bool IsGnu() const {
    return Titled("gnu affero general public license") ||
           Titled("gnu lesser general public license") ||
           Titled("gnu library general public license") || Titled("gnu general public license");
  }

  // How many different licences the file has the body of.
  int Bodies() const {
    int bodies = IsGnu() ? 1 : 0;
    bodies += Has(kIscBody) || Has(kIscBodyWithAnd) ? 1 : 0;
    for (const std::string_view body :
         {kMitBody, kBsdBody, kZlibBody, kUnlicenseBody, kApacheBody, kMozillaBody, kPythonBody}) {
      bodies += Has(body) ? 1 : 0;
    }
    return bodies;
  }

  std::string Id() const {
    if (Titled("gnu affero general public license")) return GnuId(text_, "AGPL-3.0");
    if (Titled("gnu lesser general public license")) {
      return GnuId(text_, Has("version 2.1") && !Titled("version 3") ? "LGPL-2.1" : "LGPL-3.0");
    }
    if (Titled("gnu library general public license")) return GnuId(text_, "LGPL-2.0");
    if (Titled("gnu general public license")) {
      return GnuId(text_, Titled("version 3") || Has("either version 3") ? "GPL-3.0" : "GPL-2.0");
    }
    if (Titled("apache license") && Titled("version 2.0")) return "Apache-2.0";
    if (Titled("mozilla public license") && (Titled("version 2.0") || Titled("v. 2.0"))) {
      return "MPL-2.0";
    }
    if (Titled("python software foundation license")) return "PSF-2.0";
    if (Begins(kUnlicenseBody)) return "Unlicense";
    if (Begins(kMitBody)) {
      return Has("the above copyright notice and this permission notice") ||
                     Has("subject to the following conditions")
                 ? "MIT"
                 : "MIT-0";
    }
    if (Begins(kIscBody) || Begins(kIscBodyWithAnd)) {
      return Has("provided that the above copyright notice") ? "ISC" : "0BSD";
    }
    if (Begins(kZlibBody) && Has("must not be misrepresented")) return "Zlib";
    if (Begins(kBsdBody)) {
      if (Has("all advertising materials mentioning")) return "BSD-4-Clause";
      return Has("endorse or promote products") ? "BSD-3-Clause" : "BSD-2-Clause";
    }
    return "";
  }

  static constexpr size_t kTitleBytesMax = 400;
  static constexpr size_t kNamesBytesMax = 1'500;
  const std::string text_;
  const std::string top_;
};

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
    const LicenceText text = LicenceReader(*entry.content).Read();
    if (text.restricted) {  // whatever the packaging says
      best.Clear();
      best.set_spdx_id("unknown");
      return best;
    }
    const std::string& id = text.id;
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
