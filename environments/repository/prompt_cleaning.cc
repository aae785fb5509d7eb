#include "environments/repository/prompt_cleaning.h"

#include <algorithm>
#include <cctype>

#include "proto/base/utf8.h"
#include <re2/re2.h>

namespace taskmint::environments {
namespace {

constexpr size_t kRawBytesMax = 128 << 10;
constexpr size_t kPromptBytesMax = 32 << 10;

// A reference to an issue or pull request, and several of them.
#define TASKMINT_REFERENCE \
  R"((?:(?:(?:issues?|bugs?|tickets?|pull requests?|pr|gh)[ :#-]*)?(?:[\w.-]+/[\w.-]+)?#\d+|gh-\d+|(?:issues?|bugs?|tickets?|pull request)[ :-]*\d+|<?https?://[^\s/]+/[^\s/]+/[^\s/]+/(?:-/)?(?:issues|pull|pulls|merge_requests)/\d+[^\s<>()\[\]]*>?))"
#define TASKMINT_VERB \
  R"((?:fix(?:e[sd]|ing)?|clos(?:e[sd]?|ing)|resolv(?:e[sd]?|ing)|refs?|references|re|see(?: also)?|related(?: to)?|relates to|address(?:es|ed)?|part of|cf|per|from|via|implements|addressing|mentioned in|reported in|discussed in)\b\.?)"
#define TASKMINT_REFERENCES                                                                     \
  TASKMINT_REFERENCE "(?:(?:\\s*[,;&+]\\s*|\\s+and\\s+|\\s*,\\s*and\\s+|\\s+)(?:" TASKMINT_VERB \
                     ":?\\s*)?" TASKMINT_REFERENCE ")*"

struct Rule {
  RE2 pattern;
  const char* replacement;
};

std::string FromLatin1(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

// Valid UTF-8 with plain line ends, without control characters and without characters that hide
// or turn text around.
std::string Decoded(std::string_view raw) {
  const bool cut = raw.size() > kRawBytesMax;
  raw = raw.substr(0, kRawBytesMax);
  while (cut && !raw.empty() && (static_cast<unsigned char>(raw.back()) & 0x80) != 0) {
    raw.remove_suffix(1);
  }
  static const RE2 kHidden(
      R"([\x{00}-\x{08}\x{0B}-\x{1F}\x{7F}-\x{9F}\x{AD}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}])");
  std::string text = IsUtf8(raw) ? std::string(raw) : FromLatin1(raw);
  RE2::GlobalReplace(&text, R"(\r\n?)", "\n");
  RE2::GlobalReplace(&text, kHidden, "");
  return text;
}

// What goes wherever it stands, code included.
void RemoveEverywhere(std::string& text) {
#define TASKMINT_FIX_PAGE \
  R"(https?://[^\s<>()\[\]]*/(?:commits?|pull|pulls|merge_requests|compare|changeset|commitdiff)/[^\s<>()\[\]]*)"
  static const Rule kRules[] = {
      {RE2(R"((?s)<!--.*?(?:-->|\z))"), ""},
      {RE2(R"(!\[[^\]\n]*\]\([^)\n]*\))"), ""},
      // A link to lines at a commit keeps its path.
      {RE2(R"(https?://[^\s<>()\[\]]*/(?:blob|tree|raw|blame)/[0-9a-f]{7,40}/([^\s<>()\[\]]*))"),
       R"(\1)"},
      {RE2(R"(\[([^\]\n]*)\]\(\s*)" TASKMINT_FIX_PAGE R"([^)\n]*\))"), R"(\1)"},
      {RE2("<?" TASKMINT_FIX_PAGE ">?"), ""},
      {RE2(R"(<?https?://[^\s<>()\[\]]+\.(?:patch|diff)\b>?)"), ""},
      {RE2(R"((?i)(?:\b(?:in|by|from|since|with|of)\s+)?\b(?:commit|changeset|revision)\s+[`"']?\b[0-9a-f]{7,40}\b[`"']?)"),
       ""},
      {RE2(R"(\b[0-9a-f]{40}\b)"), ""},
  };
#undef TASKMINT_FIX_PAGE
  for (const Rule& rule : kRules) RE2::GlobalReplace(&text, rule.pattern, rule.replacement);
}

// Abbreviated SHAs: 7 to 12 hex digits, letters and digits among them.
std::string WithoutShortShas(std::string_view line) {
  static const RE2 kCandidate(R"((.*?)(\b[0-9a-f]{7,12}\b))");
  static const RE2 kNumber(R"(\d+|\d+e\d+|[a-f]+)");
  re2::StringPiece rest(line.data(), line.size());
  std::string result;
  std::string before;
  std::string candidate;
  while (RE2::Consume(&rest, kCandidate, &before, &candidate)) {
    result += before;
    const bool in_name = !before.empty() && (before.back() == '.' || before.back() == '#' ||
                                             before.back() == '-' || before.back() == '/');
    if (RE2::FullMatch(candidate, kNumber) || in_name) result += candidate;
  }
  return result.append(rest.data(), rest.size());
}

// What goes from prose, line by line.
std::string CleanLine(std::string_view line) {
  static const Rule kRules[] = {
      {RE2(R"((?i)</?(?:details|summary|p|br|b|i|em|strong|img|a|div|span|h[1-6]|sub|sup|kbd|picture|source)\b[^<>]*>)"),
       ""},
      {RE2(R"((?i)\s*[\(\[]\s*(?:)" TASKMINT_VERB ":?\\s*)*" TASKMINT_REFERENCES R"(\s*[\)\]])"),
       ""},
      {RE2(R"((?i)^(\s*(?:[-*]\s+)?)(?:)" TASKMINT_VERB ":?\\s*)*" TASKMINT_REFERENCES
           R"((?:\s*[:,;.]+\s+|\s+(?:-+|–|—)\s*|\s*$|\s+by\s+))"),
       R"(\1)"},
      {RE2(R"((?i)([.!?]?)[,;]?\s+(?:-+\s+|–\s+|—\s+)?(?:this\s+|it\s+|which\s+)?)" TASKMINT_VERB
           ":?\\s+" TASKMINT_REFERENCES R"(\s*[.]?\s*$)"),
       R"(\1)"},
      {RE2(R"(\s*<[^<>\s@]+@[^<>\s@]+>)"), ""},
      {RE2(R"((?i)\s*\(?cherry[- ]picked from[^()\n]*\)?)"), ""},
      {RE2(R"((?i)\s*\[(?:ci skip|skip ci|ci-skip|skip travis|no ci)\]|\*\*\*NO_CI\*\*\*)"), ""},
  };
  std::string text = WithoutShortShas(line);
  for (const Rule& rule : kRules) RE2::GlobalReplace(&text, rule.pattern, rule.replacement);
  RE2::GlobalReplace(&text, R"([(\[]\s*[)\]])",
                     text.find('`') == std::string::npos && text != line ? "" : R"(\0)");
  RE2::GlobalReplace(&text, "(^|[^`])``([^`]|$)", R"(\1\2)");
  RE2::GlobalReplace(&text, R"(\s+$)", "");
  return text;
}

// Lines that say nothing about the task.
bool IsNoise(const std::string& line) {
  static const RE2 kTrailer(
      R"((?i)\s*(?:signed-off-by|co-?authored-by|co-developed-by|reviewed-by|acked-by|tested-by|reported-by|suggested-by|helped-by|requested-by|approved-by|committed-by|thanks-to|cc|change-id|reviewed-on|review-url|differential revision|reviewers|subscribers|git-svn-id|svn path|pr-url|pull-request|merge-request|see-also|cherry-picked|backported-from|auto-submitted|release-note|x-[\w-]+|--hg--|tree-sha|rebase_source|extra|branch|co-authored by|generated-by|claude-session|assisted-by)\s*:.*)");
  static const RE2 kReference("(?i)\\W*(?:this\\s+)?(?:" TASKMINT_VERB
                              ":?\\s*)*" TASKMINT_REFERENCES R"(\W*)");
  static const RE2 kRevert(R"((?i)\s*(?:this )?reverts? commits?\b.*)");
  static const RE2 kMerge(
      R"((?i)\s*merge(?:d|s)?(?: (?:pull request|branch|branches|remote-tracking branch|tag|pr|in)\b| #\d).*|\s*\w[\w-]* wants to merge .*)");
  static const RE2 kCheckbox(R"(\s*[-*+]\s*\[[ xX]?\]\s.*)");
  static const RE2 kTemplate(
      R"((?i)[\s*_>#-]*(?:_?no response_?|a clear and concise description\b.*|add any other context\b.*|if applicable, add screenshots.*|this is just a friendly reminder\b.*|if you have \*any\* questions\b.*|thank you for (?:contributing|your contribution|the|opening|taking)\b.*|please read\b.*|before (?:submitting|opening)\b.*|please (?:make sure|ensure|check)\b.*|i have (?:read|searched|checked)\b.*|you can view, comment on, or merge this pull request.*|# +(?:pull request )?check ?list|.*\[e\.g\.[^\]]*\]\s*))");
  static const RE2 kBot(
      R"((?i).*(?:generated with \[?claude|generated by (?:dependabot|copilot|codex|cursor)|dependabot|renovate\[?bot|codecov\.io|coveralls\.io|pre-commit\.ci|auto fixes from|deepsource|sourcery|coderabbit|sonarcloud|\[!\[).*)");
  static const RE2 kCopied(
      R"((?i)\s*/?(?:cc|ping|thanks|thx|thank you)\b[:,]?(?:\s*(?:to|and|,)?\s*@[\w-]+[,.!]?)+\s*)");
  static const RE2 kBullet(
      R"((?i)\s*[*-]\s+(?:fix(?:ed|es|ing)?|update[sd]?|address(?:ed|es)?|appl(?:y|ied)|minor|small|more|add(?:ed)?|run|clean ?up|remove[d]?|tweak|typos?|lint(?:ing)?|format(?:ting)?|wip|nits?)?\s*(?:up)?\s*(?:the|some|a|an|pr|code)?\s*(?:lint(?:er|ing)?|typos?|formatting|format|style|tests?|ci|flake8|black|ruff|mypy|isort|pep8|review|reviews|comments?|feedback|suggestions?|nits?|changelog|changes|news|docs?|docstrings?|readme|authors|imports?|whitespace|pre-commit|coverage|merge conflicts?|conflicts?|suggestions from code review)(?:\s+(?:comments?|feedback|entry|file|errors?|issues?|fix|fixes|tests?))?[.!]?\s*)");
  static const RE2 kSeparator(R"(\s*(?:-{3,}|={5,}|_{3,}|\*{3,}|-- )\s*)");
  for (const RE2* rule : {&kTrailer, &kReference, &kRevert, &kMerge, &kCheckbox, &kTemplate, &kBot,
                          &kCopied, &kBullet, &kSeparator}) {
    if (RE2::FullMatch(line, *rule)) return true;
  }
  return false;
}

bool StartsDiff(std::string_view line, std::string_view next) {
  static const RE2 kHunk(R"(@@ -\d+(?:,\d+)? \+\d+.*)");
  const std::string_view text = Trimmed(line);
  return text.starts_with("diff --git ") || text.starts_with("Index: ") ||
         RE2::FullMatch(text, kHunk) ||
         (text.starts_with("--- ") && Trimmed(next).starts_with("+++ "));
}

bool ContinuesDiff(std::string_view line) {
  static const RE2 kHeader(
      R"(\s*(?:index [0-9a-f]|(?:new|deleted|old) (?:file )?mode|similarity index|rename |copy |Binary files |={20,}).*)");
  return !line.empty() && (line[0] == ' ' || line[0] == '+' || line[0] == '-' || line[0] == '@' ||
                           line[0] == '\\' || line[0] == '\t' || RE2::FullMatch(line, kHeader));
}

bool IsFence(std::string_view line) {
  const std::string_view text = Trimmed(line);
  return text.starts_with("```") || text.starts_with("~~~");
}

bool IsPatchBlock(const std::vector<std::string_view>& lines, size_t begin, size_t end) {
  static const RE2 kInfo(R"((?i)(?:```+|~~~+)\s*(?:diff|patch|suggestion)\b.*)");
  if (RE2::FullMatch(Trimmed(lines[begin]), kInfo)) return true;
  for (size_t i = begin + 1; i < end; ++i) {
    if (StartsDiff(lines[i], i + 1 < end ? lines[i + 1] : std::string_view())) return true;
  }
  return false;
}

// The first line after the block that the fence at `begin` opens.
size_t EndOfBlock(const std::vector<std::string_view>& lines, size_t begin) {
  const std::string_view mark = Trimmed(lines[begin]).substr(0, 3);
  for (size_t i = begin + 1; i < lines.size(); ++i) {
    if (Trimmed(lines[i]).starts_with(mark)) return i + 1;
  }
  return lines.size();
}

std::vector<std::string> CleanLines(std::string_view text) {
  const std::vector<std::string_view> lines = LinesOf(text);
  std::vector<std::string> kept;
  for (size_t i = 0; i < lines.size();) {
    if (IsFence(lines[i])) {
      const size_t end = EndOfBlock(lines, i);
      if (!IsPatchBlock(lines, i, end)) {
        for (size_t j = i; j < end; ++j) kept.emplace_back(lines[j]);
      }
      i = end;
      continue;
    }
    if (StartsDiff(lines[i], i + 1 < lines.size() ? lines[i + 1] : std::string_view())) {
      for (++i; i < lines.size() && ContinuesDiff(lines[i]); ++i) {
      }
      continue;
    }
    const std::string line(lines[i++]);
    if (IsNoise(line)) continue;
    std::string clean = CleanLine(line);
    // What cleaning has emptied goes; empty lines stay.
    if (!Trimmed(line).empty() && (Trimmed(clean).empty() || IsNoise(clean))) continue;
    kept.push_back(std::move(clean));
  }
  return kept;
}

// Joined, without headings that have nothing below them and without repeated empty lines.
std::string Joined(const std::vector<std::string>& lines) {
  static const RE2 kHeading(R"(\s*(?:#{1,6}\s.*|\*\*[^*]{1,80}\*\*:?\s*))");
  std::string text;
  bool in_block = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (IsFence(lines[i])) in_block = !in_block;
    if (!in_block && i > 0 && RE2::FullMatch(lines[i], kHeading)) {
      size_t next = i + 1;
      while (next < lines.size() && Trimmed(lines[next]).empty()) ++next;
      if (next == lines.size() || RE2::FullMatch(lines[next], kHeading)) continue;
    }
    text += lines[i] + "\n";
  }
  RE2::GlobalReplace(&text, R"(\n\s*\n(?:[ \t]*\n)+)", "\n\n");
  return text;
}

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
    std::string plain = word;
    std::transform(plain.begin(), plain.end(), plain.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
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

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string CleanPrompt(std::string_view raw) {
  std::string text = Decoded(raw);
  RemoveEverywhere(text);
  text = Joined(CleanLines(text));
  text = ToUtf8(CutMiddle(Trimmed(text), kPromptBytesMax));
  // The indentation of a first line that is code stays with it.
  return text;
}

std::string WithoutFixCode(std::string_view text,
                           const std::set<std::string, std::less<>>& code_lines) {
  constexpr size_t kTellingBytesMin = 12;
  const auto tells = [&code_lines](std::string_view line) {
    const std::string_view code = Trimmed(line);
    return code.size() >= kTellingBytesMin && code_lines.find(code) != code_lines.end();
  };
  const std::vector<std::string_view> lines = LinesOf(text);
  std::string kept;
  for (size_t i = 0; i < lines.size();) {
    if (!IsFence(lines[i])) {
      const bool indented = lines[i].starts_with("    ") || lines[i].starts_with("\t");
      if (!indented || !tells(lines[i])) kept.append(lines[i]) += '\n';
      ++i;
      continue;
    }
    const size_t end = EndOfBlock(lines, i);
    std::string block;
    bool cut = false;
    bool left = false;
    for (size_t j = i; j < end; ++j) {
      if (!IsFence(lines[j]) && tells(lines[j])) {
        cut = true;
        continue;
      }
      left |= !IsFence(lines[j]) && !Trimmed(lines[j]).empty();
      block.append(lines[j]) += '\n';
    }
    if (left || !cut) kept += block;
    i = end;
  }
  return std::string(Trimmed(kept));
}

std::string WhyUnderspecified(std::string_view text) {
  static const RE2 kReverted(R"(Revert ".*"\.?)");
  const std::string_view all = Trimmed(text);
  if (all.empty()) return "nothing is left of the text but references and boilerplate";
  if (RE2::FullMatch(all, kReverted)) return "it reverts another change without saying why";
  if (MeaningfulWords(all) >= kWordsMin) return "";
  return "too little is said: \"" + std::string(CutMiddle(Printable(all), 120)) + "\"";
}

IssueReferences FindReferences(std::string_view text) {
  static const RE2 kClosing(
      R"((?i)\b(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?)\b:?\s+()" TASKMINT_REFERENCES ")");
  static const RE2 kMentioned(
      R"((?i)(\((?:#|gh-)\d+\)|^\[?#\d+\]?[:\s]|\bgh-\d+\b|\b(?:issue|bug|ticket)s?[ :#-]*\d+|\bmerge pull request #\d+))");
  static const RE2 kNumber(
      R"((?i)(?:^|[^\w/]|gh-|issues?|bugs?|tickets?|/issues/|/pulls?/)(?:\s|#|:)*(\d{1,9})\b)");
  const std::string decoded = Decoded(text);
  IssueReferences references;
  std::set<int64_t> seen;
  const auto collect = [&](const RE2& pattern, std::vector<int64_t>& numbers) {
    std::string_view rest(decoded);
    re2::StringPiece piece(rest.data(), rest.size());
    std::string match;
    while (RE2::FindAndConsume(&piece, pattern, &match)) {
      re2::StringPiece inside(match);
      std::string digits;
      while (RE2::FindAndConsume(&inside, kNumber, &digits)) {
        const int64_t number = std::stoll(digits);
        if (number > 0 && seen.insert(number).second) numbers.push_back(number);
      }
    }
  };
  collect(kClosing, references.closed);
  collect(kMentioned, references.mentioned);
  return references;
}

#undef TASKMINT_REFERENCES
#undef TASKMINT_VERB
#undef TASKMINT_REFERENCE

}  // namespace taskmint::environments
