#include <gtest/gtest.h>

#include "environments/repository/candidate.h"

namespace taskmint::environments {
namespace {

constexpr char kMit[] =
    "The MIT License (MIT)\n\nCopyright (c) 2015 A\n\nPermission is hereby granted, free of\n"
    "charge, to any person obtaining a copy of this software, subject to the\n"
    "following conditions:\n";
constexpr char kBsd[] =
    "Redistribution and use in source and binary forms, with or without\n"
    "modification, are permitted provided that ...\n";
constexpr char kBsdThird[] = "Neither the name may be used to endorse or promote  products\n";

std::string Detected(std::initializer_list<std::pair<const char*, std::string>> files) {
  FileTree tree;
  for (const auto& [path, text] : files) EXPECT_TRUE(tree.Set(path, RegularFile(text)).ok());
  const v1::Licence licence = DetectLicence(tree);
  EXPECT_EQ(licence.path().empty(), licence.spdx_id() == "unknown");
  return licence.spdx_id();
}

TEST(LicenceTest, KnowsTheTextsInUse) {
  const std::pair<const char*, std::string> kTexts[] = {
      {"MIT", kMit},
      {"BSD-2-Clause", kBsd},
      {"BSD-3-Clause", std::string(kBsd) + " * " + kBsdThird},
      {"Apache-2.0", "                Apache License\n          Version 2.0, January 2004\n"},
      {"ISC",
       "Permission to use, copy, modify, and/or distribute this software for any\npurpose "
       "with or without fee is hereby granted, provided that the above\ncopyright notice"},
      {"0BSD",
       "Permission to use, copy, modify, and/or distribute this software for any\npurpose "
       "with or without fee is hereby granted.\n"},
      {"GPL-2.0-only",
       "GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991\n ... How to Apply These "
       "Terms to Your New Programs ... (at your option) any later version.\n"},
      {"GPL-3.0-only", "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n"},
      {"GPL-3.0-or-later",
       "x is under the GNU General Public License, either version 3 of the "
       "License, or (at your option) any later version.\n"},
      {"LGPL-2.1-only", "GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999\n"},
      {"LGPL-3.0-only", "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n"},
      {"MPL-2.0", "Mozilla Public License Version 2.0\n"},
      {"PSF-2.0", "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n"},
      {"Unlicense", "This is free and unencumbered software released into the public domain.\n"},
      {"Zlib",
       "This software is provided 'as-is', without any express or implied\nwarranty. ... "
       "The origin of this software must not be misrepresented\n"},
      {"unknown", "All rights reserved.\n"},
  };
  for (const auto& [id, text] : kTexts) EXPECT_EQ(Detected({{"LICENSE", text}}), id);
}

constexpr char kApacheText[] =
    "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n\nTERMS AND "
    "CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n";

// Texts that embed an open licence, or name one, and are none.
TEST(LicenceTest, ATextThatRestrictsUseIsNoOpenLicence) {
  const std::string restricted[] = {
      "Business Source License 1.1\n\nParameters\n\nChange Date: 2029-01-01\n\nChange License: "
      "Apache License, Version 2.0\n",
      "# Functional Source License, Version 1.1, Apache 2.0 Future License\n\nwe grant you the "
      "Apache License, Version 2.0\n",
      "\"Commons Clause\" License Condition v1.0\n\nThe Software is provided to you by the "
      "Licensor under the License\n\n" +
          std::string(kApacheText),
      std::string(kApacheText) + "\n\nCommons  Clause Restriction\n",
      "Elastic License 2.0\n\n## Acceptance\n" + std::string(kMit),
      std::string(kMit) + "\nThe Software shall be used for\nGood, not Evil.\n",
      "Hippocratic License Version Number: 2.1.\n\n" + std::string(kMit),
      "Server Side Public License\nVERSION 1, OCTOBER 16, 2018\n" + std::string(kApacheText),
      std::string(kMit) + "\nfor non-commercial use only\n"};
  for (const std::string& text : restricted) {
    EXPECT_EQ(Detected({{"LICENSE", text}}), "unknown") << text;
    EXPECT_EQ(Detected({{"LICENSE", text}, {"pyproject.toml", "license = \"MIT\"\n"}}), "unknown")
        << text;
  }
}

TEST(LicenceTest, AFileOfTwoLicencesNamesNeither) {
  EXPECT_EQ(Detected({{"LICENSE", std::string(kMit) + "\nvendored/x:\n" + kApacheText}}),
            "unknown");
  EXPECT_EQ(Detected({{"LICENSE", std::string(kMit) + "\nvendored/x:\n" + kBsd}}), "unknown");
  EXPECT_EQ(Detected({{"LICENSE", "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n" +
                                      std::string(kMit)}}),
            "unknown");
  EXPECT_EQ(
      Detected({{"LICENSE", std::string(kMit) + "\nof Python:\nPSF hereby grants Licensee\n"}}),
      "unknown");
  EXPECT_EQ(Detected({{"LICENSE", std::string(kMit) + "\nvendored/x:\n" + kMit}}), "MIT");
}

TEST(LicenceTest, WhatStandsFarDownIsOfSomethingElse) {
  std::string own = "Acme End User Agreement\n";
  for (int i = 0; i < 200; ++i)
    own += "You may not do what clause " + std::to_string(i) + " says. ";
  for (const char* notice : {kMit, kBsd, kApacheText}) {
    EXPECT_EQ(Detected({{"LICENSE", own + "\nThird-party notices\n\n" + notice}}), "unknown");
  }
}

TEST(LicenceTest, ReadsTheFileByAnyOfItsNames) {
  for (const char* name :
       {"LICENSE.txt", "licence.md", "COPYING", "LICENSE-MIT", "MIT-LICENSE.txt"}) {
    EXPECT_EQ(Detected({{name, kMit}}), "MIT") << name;
  }
  EXPECT_EQ(Detected({{"docs/LICENSE", kMit}}), "unknown");
  EXPECT_EQ(Detected({{"LICENSE", kMit}, {"LICENSE.vendored", kBsd}}), "MIT");
}

TEST(LicenceTest, NamesAChoiceAsAnExpression) {
  EXPECT_EQ(Detected({{"LICENSE", "under the terms of either of the licenses beside this"},
                      {"LICENSE.APACHE", "Apache License Version 2.0"},
                      {"LICENSE.BSD", kBsd}}),
            "Apache-2.0 OR BSD-2-Clause");
}

TEST(LicenceTest, FallsBackToThePackaging) {
  EXPECT_EQ(Detected({{"pyproject.toml", "[project]\nlicense = \"MIT\"\n"}}), "MIT");
  EXPECT_EQ(Detected({{"pyproject.toml", "license = {text = \"BSD-3-Clause\"}\n"}}),
            "BSD-3-Clause");
  EXPECT_EQ(Detected({{"setup.py", "classifiers=['License :: OSI Approved :: MIT License',"}}),
            "MIT");
  EXPECT_EQ(Detected({{"setup.cfg", "license = Apache-2.0\n"}}), "Apache-2.0");
  EXPECT_EQ(Detected({{"COPYING", "GNU GENERAL PUBLIC LICENSE Version 3"},
                      {"pyproject.toml", "license = \"GPL-3.0-or-later\"\n"}}),
            "GPL-3.0-or-later");
  EXPECT_EQ(Detected({}), "unknown");
}

}  // namespace
}  // namespace taskmint::environments
