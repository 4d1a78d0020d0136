//! `pennypost completion`: words a shell offers, from the same list as the command line itself.
//!
//! Notes       clap_complete would be a further dependency; for words and options this much is enough

use crate::table::say;
use clap::{Command, ValueEnum};
use penny_base::{Failure, Outcome};
use std::fmt::Write as _;

/// Shells.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    /// bash-completion.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Prints the script.
pub fn run(shell: Shell, command: &Command) -> Result<Outcome, Failure> {
    let mut paths = Vec::new();
    walk(command, "", &mut paths);
    say(match shell {
        Shell::Bash => bash(&paths),
        Shell::Zsh => zsh(&paths),
        Shell::Fish => fish(&paths),
    }
    .trim_end())
}

/// Path of words, then what may follow: (word, help), options included.
type Paths = Vec<(String, Vec<(String, String)>)>;

fn walk(command: &Command, path: &str, out: &mut Paths) {
    let help = |text: Option<String>| {
        text.unwrap_or_default().trim_end_matches('.').replace(['\'', '"', '`', '[', ']', ':'], "")
    };
    let mut next = Vec::new();
    for sub in command.get_subcommands() {
        next.push((sub.get_name().to_string(), help(sub.get_about().map(ToString::to_string))));
    }
    for option in command.get_arguments().filter(|a| !a.is_positional()) {
        let long = option.get_long().map(|l| format!("--{l}"));
        let word = long.or_else(|| option.get_short().map(|s| format!("-{s}"))).unwrap_or_default();
        next.push((word, help(option.get_help().map(ToString::to_string))));
    }
    out.push((path.to_string(), next));
    for sub in command.get_subcommands() {
        walk(sub, format!("{path} {}", sub.get_name()).trim_start(), out);
    }
}

fn bash(paths: &Paths) -> String {
    let mut out = String::from(
        "# bash completion of pennypost(1); made by pennypost completion bash\n_pennypost() {\n  local cur path= i w\n  \
         cur=${COMP_WORDS[COMP_CWORD]}\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    w=${COMP_WORDS[i]}\n    \
         case $w in -c) i=$((i + 1)) ;; -*) ;; *) case \" $_pennypost_paths \" in *\" ${path:+$path/}$w \"*) path=${path:+$path/}$w ;; esac ;; esac\n  \
         done\n  case $path in\n",
    );
    for (path, next) in paths {
        let words: Vec<&str> = next.iter().map(|n| n.0.as_str()).collect();
        let _ = writeln!(out, "    '{}') w='{}' ;;", path.replace(' ', "/"), words.join(" "));
    }
    out.push_str("    *) w= ;;\n  esac\n  COMPREPLY=($(compgen -W \"$w\" -- \"$cur\"))\n  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\n");
    let all: Vec<String> = paths.iter().skip(1).map(|p| p.0.replace(' ', "/")).collect();
    let _ = write!(out, "_pennypost_paths='{}'\ncomplete -F _pennypost pennypost\n", all.join(" "));
    out
}

// the variable is not called path: zsh ties that name to PATH
fn zsh(paths: &Paths) -> String {
    let mut out = String::from(
        "#compdef pennypost\n# zsh completion of pennypost(1); made by pennypost completion zsh\nlocal -a next\nlocal at= w\n\
         for w in ${words[2,CURRENT-1]}; do\n  [[ $w == -* ]] || at=${at:+$at }$w\ndone\n\
         while true; do\n  case $at in\n",
    );
    for (path, next) in paths {
        let words: Vec<String> = next.iter().map(|(w, help)| format!("'{w}:{help}'")).collect();
        let _ = writeln!(out, "    '{path}') next=({}); break ;;", words.join(" "));
    }
    out + "    *' '*) at=${at% *} ;;\n    *) at= ;;\n  esac\ndone\n_describe pennypost next || _files\n"
}

fn fish(paths: &Paths) -> String {
    let mut out = String::from("# fish completion of pennypost(1); made by pennypost completion fish\n");
    for (path, next) in paths {
        let words: Vec<&str> = path.split_whitespace().collect();
        let siblings: Vec<&str> = next.iter().map(|n| n.0.as_str()).filter(|w| !w.starts_with('-')).collect();
        let mut seen: String = words.iter().map(|w| format!("__fish_seen_subcommand_from {w}; and ")).collect();
        if words.is_empty() {
            seen = "not __fish_seen_subcommand_from ".to_string() + &siblings.join(" ");
        } else if siblings.is_empty() {
            seen.push_str("true");
        } else {
            let _ = write!(seen, "not __fish_seen_subcommand_from {}", siblings.join(" "));
        }
        for (word, help) in next {
            let what = match (word.strip_prefix("--"), word.strip_prefix('-')) {
                (Some(long), _) => format!("-l {long}"),
                (None, Some(short)) => format!("-s {short}"),
                _ => format!("-f -a {word}"),
            };
            let _ = writeln!(out, "complete -c pennypost -n '{seen}' {what} -d '{help}'");
        }
    }
    out
}
