#include "cloud/cli/completion.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace postern::cli {
namespace {

struct OptionWord {
  std::string name;  ///< with its dashes
  std::string help;
  bool takes_value = false;
  bool is_file = false;              ///< the value
  std::vector<std::string> choices;  ///< of the value
};

/// One command; the words that lead to it, each behind a slash, are its path.
struct Command {
  std::string path;
  std::vector<std::pair<std::string, std::string>> subcommands;  ///< and their help
  std::vector<OptionWord> options;  ///< its own, and those that may stand anywhere
  bool takes_file = false;
  std::vector<std::string> choices;  ///< of its argument
};

/// The texts that a value is one of: validators show them in braces.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const auto open = type.find('{');
  const auto close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

bool is_file(const CLI::Option& option) {
  return option.get_type_name().starts_with("FILE") || option.get_name(true).starts_with("FILE");
}

void add_options(const CLI::App& app, Command& command) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && option->get_lnames().empty() && option->get_snames().empty()) {
      command.takes_file = command.takes_file || is_file(*option);
      const auto choices = choices_of(*option);
      command.choices.insert(command.choices.end(), choices.begin(), choices.end());
      continue;
    }
    std::vector<std::string> names;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (std::string& name : names) {
      if (std::ranges::find(command.options, name, &OptionWord::name) != command.options.end()) continue;
      command.options.push_back({.name = std::move(name),
                                 .help = option->get_description(),
                                 .takes_value = option->get_items_expected_max() > 0,
                                 .is_file = is_file(*option),
                                 .choices = choices_of(*option)});
    }
  }
}

void add_commands(const CLI::App& app, const std::string& path, const std::vector<OptionWord>& inherited,
                  std::vector<Command>& commands) {
  Command command{.path = path, .subcommands = {}, .options = {}, .choices = {}};
  add_options(app, command);
  // Groups of options are commands without a name.
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* each : subcommands) {
    if (each->get_name().empty()) {
      add_options(*each, command);
    } else {
      command.subcommands.emplace_back(each->get_name(), each->get_description());
    }
  }
  for (const OptionWord& option : inherited) {
    const bool is_known =
        std::ranges::find(command.options, option.name, &OptionWord::name) != command.options.end();
    if (!is_known && option.name != "--version") command.options.push_back(option);
  }
  const std::vector<OptionWord> handed_down = command.options;
  commands.push_back(std::move(command));
  for (const CLI::App* each : subcommands) {
    if (!each->get_name().empty()) add_commands(*each, path + "/" + each->get_name(), handed_down, commands);
  }
}

std::vector<std::string> subcommand_paths(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  for (const Command& command : commands) {
    if (!command.path.empty()) paths.push_back(command.path);
  }
  return paths;
}

/// "'path option'", of each option that takes a value.
std::vector<std::string> valued(const std::vector<Command>& commands) {
  std::vector<std::string> all;
  for (const Command& command : commands) {
    for (const OptionWord& option : command.options) {
      if (option.takes_value) all.push_back(fmt::format("'{} {}'", command.path, option.name));
    }
  }
  return all;
}

/// In single quotes, as bash and zsh read them.
std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string bash_words(const Command& command) {
  std::string words;
  for (const auto& [name, help] : command.subcommands) words += name + " ";
  for (const std::string& choice : command.choices) words += choice + " ";
  return words;
}

std::string option_words(const Command& command) {
  std::string words;
  for (const OptionWord& option : command.options) words += option.name + " ";
  return words;
}

/// The shared part of bash and zsh: finds `at`, the command's path, and `option`, whose value is wanted.
std::string walk(const std::vector<Command>& commands, std::string_view head) {
  return fmt::format(R"(  for (({}; ++i)); do
    word=${{words[i]}}
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $option ]]; then option=; continue; fi
    case "$at $word" in
      {}) option=$word; continue ;;
    esac
    case "$at/$word" in
      {}) at=$at/$word ;;
    esac
  done
)",
                     head, fmt::join(valued(commands), "|"), fmt::join(subcommand_paths(commands), "|"));
}

std::string bash_script(const std::string& name, const std::vector<Command>& commands) {
  std::string text = fmt::format(R"(# Completion of {0} for bash. To use it: source <({0} completion bash)
_{0}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} at= option= word i
  local -a words=("${{COMP_WORDS[@]}}")
  COMPREPLY=()
)",
                                 name);
  text += walk(commands, "i = 1; i < COMP_CWORD");
  text += "  if [[ $cur == '=' ]]; then cur=; fi\n  if [[ -n $option ]]; then\n    case \"$at $option\" in\n";
  for (const Command& command : commands) {
    for (const OptionWord& option : command.options) {
      if (!option.choices.empty()) {
        text += fmt::format("      '{} {}') COMPREPLY=($(compgen -W '{}' -- \"$cur\")) ;;\n", command.path,
                            option.name, fmt::join(option.choices, " "));
      } else if (option.is_file) {
        text += fmt::format("      '{} {}') compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n",
                            command.path, option.name);
      }
    }
  }
  text += "    esac\n    return\n  fi\n  case \"$at\" in\n";
  for (const Command& command : commands) {
    text += fmt::format("    '{}')\n", command.path);
    text += fmt::format("      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '{}' -- \"$cur\"))\n",
                        option_words(command));
    if (command.takes_file) {
      text += "      else compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))\n      fi ;;\n";
    } else {
      text += fmt::format("      else COMPREPLY=($(compgen -W '{}' -- \"$cur\"))\n      fi ;;\n",
                          bash_words(command));
    }
  }
  return text + fmt::format("  esac\n}}\ncomplete -F _{0} {0}\n", name);
}

/// "word:help" for _describe, where a colon of the word itself is escaped.
std::string zsh_item(std::string_view word, std::string_view help) {
  return shell_quoted(fmt::format("{}:{}", word, help));
}

std::string zsh_script(const std::string& name, const std::vector<Command>& commands) {
  std::string text = fmt::format(R"(#compdef {0}
# Completion of {0} for zsh. To use it: source <({0} completion zsh)
_{0}() {{
  local at= option= word i
  local -a items
)",
                                 name);
  text += walk(commands, "i = 2; i < CURRENT");
  text += "  if [[ -n $option ]]; then\n    case \"$at $option\" in\n";
  for (const Command& command : commands) {
    for (const OptionWord& option : command.options) {
      if (!option.choices.empty()) {
        text += fmt::format("      '{} {}') compadd -- {} ;;\n", command.path, option.name,
                            fmt::join(option.choices, " "));
      } else if (option.is_file) {
        text += fmt::format("      '{} {}') _files ;;\n", command.path, option.name);
      }
    }
  }
  text += "    esac\n    return\n  fi\n  case \"$at\" in\n";
  for (const Command& command : commands) {
    text += fmt::format("    '{}')\n      if [[ ${{words[CURRENT]}} == -* ]]; then\n        items=(",
                        command.path);
    for (const OptionWord& option : command.options) text += zsh_item(option.name, option.help) + " ";
    text += ")\n        _describe option items\n      else\n        items=(";
    for (const auto& [word, help] : command.subcommands) text += zsh_item(word, help) + " ";
    for (const std::string& choice : command.choices) text += shell_quoted(choice) + " ";
    text += fmt::format(")\n        {}\n      fi ;;\n",
                        command.takes_file ? "_files" : "_describe command items");
  }
  return text + fmt::format("  esac\n}}\ncompdef _{0} {0}\n", name);
}

/// In single quotes, as fish reads them.
std::string fish_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string fish_option(const OptionWord& option) {
  const bool is_long = option.name.starts_with("--");
  std::string text = fmt::format(" {} {}", is_long ? "-l" : "-s", option.name.substr(is_long ? 2 : 1));
  if (option.takes_value) text += option.is_file ? " -r -F" : " -x";
  if (!option.choices.empty()) text += fmt::format(" -a '{}'", fmt::join(option.choices, " "));
  return text + " -d " + fish_quoted(option.help) + "\n";
}

std::string fish_script(const std::string& name, const std::vector<Command>& commands) {
  std::string text =
      fmt::format(R"(# Completion of {0} for fish. To use it: {0} completion fish | source
function __{0}_at
  set -l at ''
  set -l wants_value no
  for word in (commandline -opc)[2..-1]
    if test $wants_value = yes
      set wants_value no
      continue
    end
    switch "$at $word"
      case {1}
        set wants_value yes
        continue
    end
    switch "$at/$word"
      case {2}
        set at "$at/$word"
    end
  end
  echo "at$at"
end
complete -c {0} -f
)",
                  name, fmt::join(valued(commands), " "), fmt::join(subcommand_paths(commands), " "));
  for (const Command& command : commands) {
    const std::string start = fmt::format("complete -c {0} -n 'test (__{0}_at) = at{1}'", name, command.path);
    for (const auto& [word, help] : command.subcommands)
      text += fmt::format("{} -a {} -d {}\n", start, word, fish_quoted(help));
    for (const std::string& choice : command.choices) text += fmt::format("{} -a {}\n", start, choice);
    if (command.takes_file) text += start + " -F\n";
    for (const OptionWord& option : command.options) text += start + fish_option(option);
  }
  return text;
}

}  // namespace

std::string completion_script(const CLI::App& app, Shell shell) {
  std::vector<Command> commands;
  add_commands(app, "", {}, commands);
  switch (shell) {
    case Shell::bash:
      return bash_script(app.get_name(), commands);
    case Shell::zsh:
      return zsh_script(app.get_name(), commands);
    case Shell::fish:
      return fish_script(app.get_name(), commands);
  }
  return {};
}

}  // namespace postern::cli
