// WhyUnderspecified: whether a text says enough to work from.
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "environments/repository/prompt_cleaning.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

// Words that a person cannot work from.
const std::set<std::string, std::less<>>& EmptyWords() {
  static const std::set<std::string, std::less<>> kWords = [] {
    std::set<std::string, std::less<>> words;
    for (const std::string_view word : LinesOf(
             "fix\nfixes\nfixed\nfixing\nfixup\nbug\nbugs\nbugfix\nbugfixes\nhotfix\ntypo\ntypos\n"
             "wip\ntest\ntests\ntested\ntesting\nunit\nunittest\nunittests\ntestcase\ntestcases\n"
             "update\nupdates\nupdated\nupdating\nclean\ncleanup\ncleanups\ncleaned\ncleaning\n"
             "refactor\nrefactored\nrefactoring\nrefactors\nlint\nlinting\nflake8\npep8\nblack\n"
             "isort\nruff\nmypy\nformat\nformatting\nformatter\nstyle\nmerge\nmerged\nmerging\n"
             "branch\nmaster\nmain\nbump\nbumps\nbumped\nversion\nversions\nrelease\nreleases\n"
             "changelog\nnews\ndoc\ndocs\ndocumentation\ndocstring\ndocstrings\nreadme\ncomment\n"
             "comments\nreview\nreviews\nfeedback\nadd\nadded\nadding\nadds\nremove\nremoved\n"
             "removes\nremoving\nimprove\nimproved\nimprovement\nimprovements\nimproves\nminor\n"
             "small\nchange\nchanges\nchanged\nmisc\ntweak\ntweaks\nmore\nsome\nalso\nthe\na\nan\n"
             "and\nor\nof\nto\nin\non\nfor\nwith\nfrom\nby\nis\nare\nwas\nbe\nthis\nthat\nit\nas\n"
             "at\ninto\ni\nwe\nmy\nour\nits\nuse\nused\nuses\nusing\nmake\nmakes\nmade\nmaking\n"
             "coverage\nci\ntravis\ntox\ncode\nnew\ninitial\ncommit\ncommits\nwork\nworks\n"
             "working\nissue\nissues\npull\nrequest\npr\nsee\nclose\ncloses\nresolve\nresolves\n"
             "revert\nreverts\nreverted\nstuff\nthing\nthings\nvarious\nfile\nfiles\ntemp\ntmp\n"
             "squash\nrebase\nprepare\nback\nup\nso\ndo\ndone\nlittle\nbit\nstart\nstarted\n"
             "better\nfinal\nfinally\noops\nagain\n")) {
      if (!word.empty()) words.emplace(word);
    }
    return words;
  }();
  return kWords;
}

constexpr int kWordsMin = 4;

// Distinct words that carry meaning; a name from code says as much as two words, and two
// ideographs as much as one.
int MeaningfulWords(std::string_view text) {
  static const RE2 kWord(R"(([\p{L}\p{N}_][\p{L}\p{N}_.'()\[\]=-]*|[^\s\p{L}\p{N}_]+))");
  static const RE2 kName(R"(.*(?:\w_\w|__|\w\.\w|\(\)|[a-z][A-Z]|\w=\w).*)");
  static const RE2 kIdeographs(R"([\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]+.*)");
  static const RE2 kLetters(R"(.*\p{L}.*)");
  std::set<std::string> seen;
  int count = 0;
  re2::StringPiece rest(text.data(), text.size());
  std::string word;
  while (count < kWordsMin && RE2::FindAndConsume(&rest, kWord, &word)) {
    if (!RE2::FullMatch(word, kLetters)) continue;
    const bool is_name = RE2::FullMatch(word, kName);
    std::string plain = LowerCase(word);
    while (!plain.empty() && std::ispunct(static_cast<unsigned char>(plain.back())) != 0) {
      plain.pop_back();
    }
    if (plain.size() < 2 || EmptyWords().contains(plain) || !seen.insert(plain).second) continue;
    if (RE2::FullMatch(word, kIdeographs)) {
      count += std::max<int>(1, static_cast<int>(word.size() / 6));
    } else {
      count += is_name ? 2 : 1;
    }
  }
  return count;
}

}  // namespace

std::string WhyUnderspecified(std::string_view text) {
  static const RE2 kReverted(R"(Revert ".*"\.?)");
  const std::string_view all = Trimmed(text);
  if (all.empty()) return "nothing is left of the text but references and boilerplate";
  if (RE2::FullMatch(re2::StringPiece(all.data(), all.size()), kReverted))
    return "it reverts another change without saying why";
  if (MeaningfulWords(all) >= kWordsMin) return "";
  std::string shown(CutMiddle(Printable(all), 120));
  std::replace(shown.begin(), shown.end(), '\n', ' ');
  return "too little is said: \"" + shown + "\"";
}

}  // namespace taskmint::environments
