#include "orchestrator/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <sstream>

#include "proto/base/utf8.h"

namespace taskmint::orchestrator {
namespace {

// "taskmint synth: no command 'coed'; ..." where a word stands at the place of a subcommand; else
// empty. CLI11 itself only says that a subcommand is required.
std::string UnknownCommand(const CLI::App& root) {
  const CLI::App* app = &root;
  std::string path = app->get_name();
  for (auto parsed = app->get_subcommands(); !parsed.empty(); parsed = app->get_subcommands()) {
    app = parsed.front();
    path += " " + app->get_name();
  }
  if (app->get_require_subcommand_min() == 0) return "";
  // Behind an option it may be that option's value.
  const std::vector<std::string> words = root.remaining(true);
  if (words.empty() || words.front().starts_with('-')) return "";
  return path + ": no command '" + words.front() + "'; `" + path + " --help` lists them\n";
}

}  // namespace

Command Command::Add(const std::string& name, const std::string& description) {
  CLI::App* added = app_->add_subcommand(name, description);
  added->footer("");
  return Command(added, chosen_);
}

Command& Command::Flag(const std::string& name, bool& target, const std::string& help) {
  app_->add_flag(name, target, help);
  return *this;
}

Command& Command::Text(const std::string& name, std::string& target, const std::string& type,
                       const std::string& help) {
  CLI::Option* option = app_->add_option(name, target, help);
  option->type_name(type);
  if (!target.empty()) option->capture_default_str();
  return *this;
}

Command& Command::Texts(const std::string& name, std::vector<std::string>& target,
                        const std::string& type, const std::string& help) {
  CLI::Option* option = app_->add_option(name, target, help);
  // One value an occurrence, so that an option never swallows what follows it.
  if (name.front() == '-') option->expected(1)->take_all();
  option->type_name(type);
  return *this;
}

Command& Command::Rest(const std::string& name, std::vector<std::string>& target,
                       const std::string& type, const std::string& help) {
  app_->positionals_at_end();
  return Texts(name, target, type, help);
}

Command& Command::NotEmpty(const std::string& name) {
  app_->get_option(name)->check(CLI::Validator(
      [](std::string& value) { return std::string(value.empty() ? "the value is empty" : ""); },
      ""));
  return *this;
}

Command& Command::Needs(const std::string& name, const std::string& other) {
  app_->get_option(name)->needs(app_->get_option(other));
  return *this;
}

Command& Command::Excludes(const std::string& name, const std::string& other) {
  app_->get_option(name)->excludes(app_->get_option(other));
  return *this;
}

Command& Command::Number(const std::string& name, int64_t& target, int64_t min, int64_t max,
                         const std::string& help) {
  app_->add_option(name, target, help)->check(CLI::Range(min, max).description(""))->type_name("N");
  return *this;
}

Command& Command::Seed(const std::string& name, uint64_t& target, const std::string& help) {
  app_->add_option(name, target, help)->type_name("N")->capture_default_str();
  return *this;
}

Command& Command::Choice(const std::string& name, std::string& target,
                         const std::vector<std::string>& choices, const std::string& help) {
  CLI::Option* option =
      app_->add_option(name, target, help)->check(CLI::IsMember(choices).description(""));
  std::string type;
  for (const std::string& choice : choices) type += (type.empty() ? "" : "|") + choice;
  option->type_name(type)->capture_default_str();
  return *this;
}

Command& Command::Require(const std::string& name) {
  app_->get_option(name)->required();
  return *this;
}

Command& Command::Example(const std::string& text) {
  const std::string before = app_->get_footer();
  app_->footer((before.empty() ? "Examples:" : before) + "\n  " + text);
  return *this;
}

Command& Command::RequireSubcommand() {
  app_->require_subcommand(1);
  return *this;
}

Command& Command::Action(std::function<int()> action) {
  app_->callback([chosen = chosen_, action = std::move(action)] { *chosen = action; });
  return *this;
}

CommandLine::CommandLine(const std::string& description, const std::string& version)
    : app_(std::make_unique<CLI::App>(description, "taskmint")) {
  app_->set_version_flag("--version", "taskmint " + version);
  app_->require_subcommand(1);
  app_->fallthrough();
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() { return Command(app_.get(), &chosen_); }

int CommandLine::Run(int argc, const char* const* argv, const std::function<void()>& before) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app_->exit(help, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    if (const std::string unknown = UnknownCommand(*app_); !unknown.empty()) {
      std::cerr << Printable(unknown);
      return kExitBadArguments;
    }
    std::ostringstream complaint;
    app_->exit(error, complaint, complaint);
    std::cerr << "taskmint: " << Printable(complaint.str());
    return kExitBadArguments;
  }
  before();
  return chosen_ ? chosen_() : kExitDone;
}

}  // namespace taskmint::orchestrator
