//! What to do next where a verb failed: the hint of every kind of error.

use std::borrow::Cow;

use etebar::api::{self, Code, SHOWN_CHARS};
use etebar::{Error, IdempotencyKey, duration_text};

use super::error::CliError;

/// How the program was called, for hints that repeat it.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) servers: Vec<String>,
    /// The arguments as the shell gave them, the program's name first.
    pub(crate) arguments: Vec<String>,
}

/// The arguments of the process.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// The hint as far as it does not depend on how the program was called.
pub(crate) fn of(error: &CliError) -> Option<String> {
    match error {
        CliError::Call(Error::Refused(problem)) => Some(of_code(problem.code).to_owned()),
        CliError::Call(Error::NotDone(not_done)) => Some(match &not_done.problem {
            Some(problem) => of_code(problem.code).to_owned(),
            None if not_done.untrusted => "nothing was sent. Is --server the address that the certificate names? An authority of your \
                                           own is given with --ca FILE or ETEBAR_CA"
                .to_owned(),
            None => "is the cluster up? cluster-scripts/up.sh starts one on this machine; or set --server or ETEBAR_SERVER \
                     to where it is"
                .to_owned(),
        }),
        CliError::Call(Error::OutcomeUnknown(_)) => Some("send the same again, under the same key: its answer is the outcome".to_owned()),
        CliError::Advised { text: _, hint, code: _ } => Some(hint.clone()),
        CliError::Unreported(unreported) => unreported.hint().map(str::to_owned),
        CliError::Usage(_) => Some("`etebar --help` lists the verbs, `etebar VERB --help` shows an example".to_owned()),
        CliError::Local(_) => None,
        CliError::Unprinted(_) => Some("free some space, or print it elsewhere, and ask again: nothing moved".to_owned()),
        CliError::Unproven(_) => {
            Some("run it again once every node answers: `etebar cluster status` shows them".to_owned())
        }
        CliError::Damaged(_) => {
            Some("nothing can be restored from it: take another backup, or fetch another copy of this one".to_owned())
        }
        CliError::Broken(_) => Some(
            "stop selling and keep every node's data directory as it is: `etebar verify --json` and `etebar digest` say \
             where the books differ"
                .to_owned(),
        ),
    }
}

/// The hint, with what depends on how the program was called.
pub(crate) fn with(error: &CliError, called: &Called) -> Option<String> {
    match error {
        CliError::Call(Error::NotDone(not_done)) if not_done.problem.is_none() => {
            let hint = of(error).unwrap_or_default();
            Some(format!("tried {}; {hint}", api::shown(&called.servers.join(", "), SHOWN_CHARS)))
        }
        CliError::Call(Error::OutcomeUnknown(unknown)) => {
            let again = called.again(unknown.key.as_ref().map(IdempotencyKey::as_str));
            let within = match unknown.key_window {
                Some(window) if unknown.key.is_some() => format!(" within {}", duration_text(window)),
                Some(_) | None => String::new(),
            };
            Some(format!("this shows what became of it, and moves nothing twice{within}: {again}"))
        }
        CliError::Unreported(unreported) => of(error).or_else(|| {
            let again = called.again(unreported.key());
            Some(format!("this shows it again, and moves nothing: {again}"))
        }),
        CliError::Call(Error::Refused(_) | Error::NotDone(_))
        | CliError::Advised { .. }
        | CliError::Usage(_)
        | CliError::Local(_)
        | CliError::Unprinted(_)
        | CliError::Unproven(_)
        | CliError::Broken(_)
        | CliError::Damaged(_) => of(error),
    }
}

fn of_code(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest => "correct what it names; `etebar VERB --help` shows how each value is written",
        Code::IdempotencyKeyMissing => "name the command with --idempotency-key KEY",
        Code::Unauthenticated => "set --key or ETEBAR_KEY to an API key; one that worked before may have been revoked",
        Code::Forbidden => {
            "use a key of another role (--key or ETEBAR_KEY): a seller charges and requests credit; an admin makes sellers \
             and keys, approves, adjusts and reverses; an auditor reads all"
        }
        Code::NotFound => {
            "look the id up with the verb's list, such as `etebar charges list`; a seller's key sees its own alone, and \
             `me` is for a seller's key"
        }
        Code::MethodNotAllowed | Code::UnsupportedMediaType => {
            "the node may be of another version, or no node of Etebar: compare `etebar --version` and `etebar cluster status`"
        }
        Code::InsufficientCredit => {
            "ask for more with `etebar credit-requests create AMOUNT`; once it is approved, charge again under a new key"
        }
        Code::SellerSuspended => {
            "an admin lets the seller sell again with `etebar sellers activate ID`; then charge again under a new key"
        }
        Code::CreditRequestDecided => {
            "`etebar credit-requests show ID` shows how; to ask for more credit, file a new request"
        }
        Code::ChargeReversed => "nothing is left to do: `etebar charges show ID` names the entry that reversed it",
        Code::LimitExceeded => "use a smaller amount: no balance may be over 10^15 minor units",
        Code::NameTaken => {
            "choose another --name, or revoke the key that has it: `etebar keys list`, `etebar keys revoke ID`"
        }
        Code::LastAdminKey => "make another admin key first: `etebar keys create --role admin --name NAME`",
        Code::AddressTaken => {
            "`etebar members list` shows whose it is; to use the addresses of a node that is gone, remove that one first"
        }
        Code::MemberBehind => {
            "start the node if it is down, wait until `etebar members list` shows it as ready, and try again"
        }
        Code::QuorumAtRisk => {
            "nothing was changed; bring the other nodes back, or add new ones and promote them: `etebar members add`"
        }
        Code::OnHold => {
            "nothing was done. The ledger was restored: an admin looks at what it lost, then ends the hold with \
             `etebar cluster open`; docs/operator.md says how"
        }
        Code::UpgradePending => "run the new build on every node first: the rules are raised by themselves then",
        Code::CannotLead => "`etebar members list` shows who votes and is healthy; the detail says what to do",
        Code::TooLarge => "send less at once",
        Code::RateLimited | Code::Overloaded => "wait a little and send it again: nothing was done",
        Code::IdempotencyKeyReused => {
            "`etebar charges list --idempotency-key KEY` shows the charge that has this key; a new command takes a new key"
        }
        Code::NoLeader => {
            "send it again in a few seconds: nothing was done. If that persists, most nodes are down: `etebar cluster status`, \
             cluster-scripts/status.sh"
        }
        Code::Behind => "ask again in a few seconds, or another node with --server",
        Code::DiskFull => "nothing was done; the node's disk needs room: its operator can free some",
        Code::OutcomeUnknown => "send the same again, under the same key: its answer is the outcome",
        Code::Internal => "this is a defect: the node's log says more, and another node may answer",
    }
}

impl Called {
    /// The same command under this key, as a shell takes it, and without the secret that was given with `--key`.
    fn again(&self, key: Option<&str>) -> String {
        let mut words = Vec::new();
        let mut secret = false;
        for argument in &self.arguments {
            words.push(match argument.strip_prefix("--key=") {
                _ if secret => "KEY".to_owned(),
                Some(_) => "--key=KEY".to_owned(),
                None => quoted(argument),
            });
            secret = argument == "--key";
        }
        let named = self.arguments.iter().any(|word| word.split('=').next() == Some("--idempotency-key"));
        if let Some(key) = key.filter(|_| !named) {
            words.push(format!("--idempotency-key {}", quoted(key)));
        }
        words.join(" ")
    }
}

/// A word as a shell takes it; what a terminal would not show stands as an escape of bash and zsh.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else if !word.chars().all(api::is_visible) {
        let escaped = word.replace('\\', "\\\\").replace('\'', "\\'");
        let escaped = escaped.chars().map(|char| match char {
            char if api::is_visible(char) => char.to_string(),
            char if u32::from(char) < 0x80 => format!("\\x{:02x}", u32::from(char)),
            char => format!("\\U{:08x}", u32::from(char)),
        });
        format!("$'{}'", escaped.collect::<String>())
    } else {
        // It fails for a zero byte alone, which no argument has.
        shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(arguments: &[&str], key: Option<&str>) -> String {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Called { servers: Vec::new(), arguments }.again(key)
    }

    #[test]
    fn the_same_command_is_repeated_under_its_key_and_without_the_secret() {
        let shown = again(&["etebar", "--key", "etb_x", "charge", "0912 345 6789", "5000"], Some("k1"));
        assert_eq!(shown, "etebar --key KEY charge '0912 345 6789' 5000 --idempotency-key k1");
        let shown = again(&["etebar", "--key=etb_x", "charge", "1", "5", "--idempotency-key=k1"], Some("k1"));
        assert_eq!(shown, "etebar --key=KEY charge 1 5 --idempotency-key=k1");
        assert_eq!(
            again(&["etebar", "adjust", "x", "--reason", "it's so"], None),
            r#"etebar adjust x --reason "it's so""#
        );
    }

    #[test]
    fn a_word_that_a_terminal_would_not_show_is_escaped_as_a_shell_reads_it() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}\u{e0041}'\\\n"), r"$'a\x1b[2J\U0000202e\U000e0041\'\\\x0a'");
        assert_eq!(quoted("فروشگاه رضا"), "'فروشگاه رضا'");
    }

    #[test]
    fn every_code_has_its_hint() {
        for code in Code::ALL {
            assert!(!of_code(code).is_empty() && !of_code(code).ends_with('.'), "{code:?}");
        }
    }
}
