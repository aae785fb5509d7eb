#include "environments/repository/prompt_cleaning.h"

#include <re2/re2.h>

#include <algorithm>

#include "environments/repository/prompt_patterns.h"
#include "proto/base/utf8.h"

namespace taskmint::environments {
namespace {

// RE2's own view of text, which in newer releases is another type.
re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

constexpr size_t kRawBytesMax = 128 << 10;
constexpr size_t kPromptBytesMax = 32 << 10;

struct Rule {
  RE2 pattern;
  const char* replacement;
};

// What goes wherever it stands, code included.
void RemoveEverywhere(std::string& text) {
  static const std::string kUrl = R"(https?://[^\s<>()\[\]]*)";
  static const std::string kFixPage =
      kUrl + "/" +
      AnyOf({"commits?", "pull", "pulls", "merge_requests", "compare", "changeset", "commitdiff"}) +
      R"(/[^\s<>()\[\]]*)";
  static const std::string kPatchFile = kUrl + R"(\.(?:patch|diff)\b)";
  static const std::string kCommit =
      R"((?i:commit|changeset|revision)\s+[`"']?\b[0-9a-f]{7,40}\b[`"']?)";
  static const Rule kRules[] = {
      {RE2(R"((?s)<!--.*?(?:-->|\z))"), ""},
      {RE2(R"(!\[[^\]\n]*\]\([^)\n]*\))"), ""},
      // A link to lines at a commit keeps its path.
      {RE2(kUrl + R"(/(?:blob|tree|raw|blame)/[0-9a-f]{7,40}/([^\s<>()\[\]]*))"), R"(\1)"},
      {RE2(R"(\[([^\]\n]*)\]\(\s*)" + kFixPage + R"([^)\n]*\))"), R"(\1)"},
      {RE2(R"(\s*\(\s*)" + AnyOf({kFixPage, kPatchFile, kCommit}) + R"(\s*\))"), ""},
      {RE2("<?" + AnyOf({kFixPage, kPatchFile}) + ">?"), ""},
      {RE2(R"((?i)\s*\(cherry[- ]picked from[^()\n]*\))"), ""},
      {RE2(R"((?:[ \t]*\b(?i:in|by|from|since|with|of))?[ \t]*\b)" + kCommit), ""},
      {RE2(R"(\b[0-9a-f]{40}\b)"), ""},
  };
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
    const char last = before.empty() ? ' ' : before.back();
    if (RE2::FullMatch(candidate, kNumber) || last == '.' || last == '#' || last == '-' ||
        last == '/') {
      result += candidate;
      continue;
    }
    // Brackets and quotes that held nothing else go too.
    const char next = rest.empty() ? '\0' : rest[0];
    if ((last == '(' && next == ')') || (last == '[' && next == ']') ||
        (last == '`' && next == '`')) {
      result.pop_back();
      rest.remove_prefix(1);
    } else if (last == ' ' && next == ' ') {
      rest.remove_prefix(1);
    }
  }
  return result.append(rest.data(), rest.size());
}

// What goes from prose, line by line.
std::string CleanLine(std::string_view line) {
  static const std::string kTags =
      AnyOf({"details", "summary", "p", "br", "b", "i", "em", "strong", "img", "a", "div", "span",
             "h[1-6]", "sub", "sup", "kbd", "picture", "source"});
  static const std::string kReferences =
      "(?:" + ReferenceVerbPattern() + ")*" + ReferencesPattern();
  static const Rule kRules[] = {
      {RE2("(?i)</?" + kTags + R"(\b[^<>]*>)"), ""},
      {RE2(R"((?i)\s*[\(\[]\s*)" + kReferences + R"(\s*[\)\]])"), ""},
      {RE2(R"((?i)^(\s*(?:[-*]\s+)?))" + kReferences +
           R"((?:\s*[:,;.]+\s+|\s+(?:-+|–|—)\s*|\s*$|\s+by\s+))"),
       R"(\1)"},
      {RE2(R"((?i)([.!?]?)[,;]?\s+(?:-+\s+|–\s+|—\s+)?(?:this\s+|it\s+|which\s+)?)" +
           ReferenceVerbPattern() + ReferencesPattern() + R"(\s*[.]?\s*$)"),
       R"(\1)"},
      {RE2(R"(\s*<[^<>\s@]+@[^<>\s@]+>)"), ""},
      {RE2(R"((?i)\s*\[(?:ci skip|skip ci|ci-skip|skip travis|no ci)\]|\*\*\*NO_CI\*\*\*)"), ""},
      {RE2(R"(\s+$)"), ""},
  };
  std::string text = WithoutShortShas(line);
  for (const Rule& rule : kRules) RE2::GlobalReplace(&text, rule.pattern, rule.replacement);
  return text;
}

bool StartsDiff(const std::vector<std::string_view>& lines, size_t at) {
  static const RE2 kHunk(R"(@@ -\d+(?:,\d+)? \+\d+.*)");
  const std::string_view text = Trimmed(lines[at]);
  const std::string_view next = at + 1 < lines.size() ? Trimmed(lines[at + 1]) : "";
  return text.starts_with("diff --git ") || RE2::FullMatch(Piece(text), kHunk) ||
         (text.starts_with("Index: ") && next.starts_with("=====")) ||
         (text.starts_with("--- ") && next.starts_with("+++ "));
}

// The first line after the diff that starts at `at`.
size_t EndOfDiff(const std::vector<std::string_view>& lines, size_t at) {
  static const RE2 kHunk(R"(\s*@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@.*)");
  static const RE2 kHeader(
      std::string(R"(\s*(?:index [0-9a-f]|(?:new|deleted|old) (?:file )?mode|similarity index|)") +
      R"(rename |copy |Binary files |={20,}|--- |\+\+\+ |diff --git |Index: ).*)");
  while (at < lines.size()) {
    std::string old_count;
    std::string new_count;
    if (RE2::FullMatch(Piece(lines[at]), kHeader)) {
      ++at;
      continue;
    }
    if (!RE2::FullMatch(Piece(lines[at]), kHunk, &old_count, &new_count)) break;
    const auto count = [](const std::string& digits) {
      return digits.empty() || digits.size() > 6 ? 1 : std::stoi(digits);
    };
    int old_left = count(old_count);
    int new_left = count(new_count);
    for (++at; at < lines.size() && (old_left > 0 || new_left > 0); ++at) {
      const char kind = lines[at].empty() ? ' ' : lines[at][0];
      if (kind != ' ' && kind != '-' && kind != '+' && kind != '\\') break;
      old_left -= kind == ' ' || kind == '-' ? 1 : 0;
      new_left -= kind == ' ' || kind == '+' ? 1 : 0;
    }
    if (at < lines.size() && lines[at].starts_with('\\')) ++at;
  }
  return at;
}

bool IsFence(std::string_view line) {
  const std::string_view text = Trimmed(line);
  return text.starts_with("```") || text.starts_with("~~~");
}

bool IsPatchBlock(const std::vector<std::string_view>& lines, size_t begin, size_t end) {
  static const RE2 kInfo(R"((?i)(?:```+|~~~+)\s*(?:diff|patch|suggestion)\b.*)");
  if (RE2::FullMatch(Piece(Trimmed(lines[begin])), kInfo)) return true;
  for (size_t i = begin + 1; i < end; ++i) {
    if (StartsDiff(lines, i)) return true;
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
    if (StartsDiff(lines, i)) {
      i = std::max(i + 1, EndOfDiff(lines, i));
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
std::string JoinedLines(const std::vector<std::string>& lines) {
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

}  // namespace

std::string DecodedText(std::string_view raw) {
  static const RE2 kHidden(std::string(R"([\x{00}-\x{08}\x{0B}-\x{1F}\x{7F}-\x{9F}\x{AD})") +
                           R"(\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}])");
  const bool cut = raw.size() > kRawBytesMax;
  raw = raw.substr(0, kRawBytesMax);
  while (cut && !raw.empty() && (static_cast<unsigned char>(raw.back()) & 0x80) != 0) {
    raw.remove_suffix(1);
  }
  std::string text = IsUtf8(raw) ? std::string(raw) : Utf8OfLatin1(raw);
  RE2::GlobalReplace(&text, R"(\r\n?)", "\n");
  RE2::GlobalReplace(&text, kHidden, "");
  return text;
}

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
  std::string text = DecodedText(raw);
  RemoveEverywhere(text);
  text = JoinedLines(CleanLines(text));
  text = ToUtf8(CutMiddle(Trimmed(text), kPromptBytesMax));
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

}  // namespace taskmint::environments
