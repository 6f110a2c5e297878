//! One text of a list against what the texts of that list are.

use std::net::{IpAddr, SocketAddr};

use super::{
    check::{Refusal, shortened},
    gateway::weighted,
    nearest::nearest,
    setting::Items,
    table::QUESTIONS,
    typed::split_module,
};

/// Longest word of a command, and longest value of a variable for one, in bytes.
const LONGEST_ITEM: usize = 32 << 10;
/// Longest name of a model, of a host or of an origin, in characters.
const LONGEST_NAME: usize = 256;

/// What is wrong with one text of a list.
pub(super) fn check_item(of: Items, text: &str) -> Option<Refusal> {
    let good = match of {
        Items::Modules => split_module(text).is_some(),
        Items::Arguments => text.len() <= LONGEST_ITEM && !text.contains('\0'),
        Items::Variables => is_variable(text),
        Items::Addresses => text.parse::<SocketAddr>().is_ok(),
        Items::Hosts => is_host(text),
        Items::Origins => is_origin(text),
        Items::Questions => QUESTIONS.contains(&text),
        Items::Models => is_name(text),
        Items::Backends => weighted(text).is_some(),
    };
    if good {
        return None;
    }
    let (list, hint) = match of {
        Items::Modules => (
            "module=level with the levels error, warn, info, debug, trace".into(),
            "For example \"plimsoll_history=debug\".".into(),
        ),
        Items::Arguments => (
            format!("words of at most {LONGEST_ITEM} bytes"),
            "A long text belongs into a file that the command reads.".into(),
        ),
        // What stands there may be a secret, also where its form is wrong.
        Items::Variables => {
            return Some(Refusal {
                message: "is a list of NAME=value, the names of letters, digits and _. Found one \
                          that is not that."
                    .into(),
                hint: Some("For example \"CUDA_VISIBLE_DEVICES=0\".".into()),
                mend: None,
            });
        }
        Items::Addresses => {
            ("addresses with a port".into(), "For example \"172.17.0.1:1876\".".into())
        }
        Items::Hosts => {
            ("names of hosts, without a port".into(), "For example \"workstation.lan\".".into())
        }
        Items::Origins if text == "*" => (
            "origins of web pages".into(),
            "Any page of the web could use the models then: name those that may.".into(),
        ),
        Items::Origins => {
            ("origins of web pages".into(), "For example \"http://localhost:3000\".".into())
        }
        Items::Questions => (
            QUESTIONS.join(", "),
            match nearest(text, QUESTIONS.iter().copied()) {
                Some(near) => format!("Did you mean {near}?"),
                None => "Embeddings of Ollama are embeddings, its generate is completions.".into(),
            },
        ),
        Items::Models => (
            format!("names of at most {LONGEST_NAME} characters"),
            "For example \"qwen3:4b\".".into(),
        ),
        Items::Backends => (
            "ids of services, each perhaps with =1 to =1000".into(),
            "For example \"chat\", or \"chat=3\".".into(),
        ),
    };
    let message = format!("is a list of {list}. Found {} in it.", shortened(text));
    Some(Refusal { message, hint: Some(hint), mend: None })
}

fn is_variable(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else { return false };
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named =
        name.chars().all(letter) && name.starts_with(|c: char| letter(c) && !c.is_numeric());
    named && value.len() <= LONGEST_ITEM && !value.contains('\0')
}

/// A name or an address, as it stands in a `Host` header before the port.
fn is_host(text: &str) -> bool {
    let within = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    within.map_or_else(
        || !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(word),
        |address| address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
    )
}

/// As a browser says it: no path, not even a last `/`. A desktop program's scheme of its own
/// is one, too.
fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let port =
        rest.rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
    let (host, port) = port.unwrap_or((rest, "1"));
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(letter)
        && is_host(host)
        && port.parse::<u16>().is_ok()
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty()
        && text.trim() == text
        && text.chars().count() <= LONGEST_NAME
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_holds_is_checked_one_by_one() {
        let good: [(Items, &[&str]); 6] = [
            (Items::Addresses, &["172.17.0.1:1876", "[::]:0"]),
            (Items::Hosts, &["host.docker.internal", "10.0.0.2", "[::1]", "a_b"]),
            (Items::Origins, &["http://localhost:3000", "https://x.lan", "tauri://localhost"]),
            (Items::Questions, QUESTIONS),
            (Items::Models, &["*", "qwen3:4b", "Qwen/Qwen3-4B", "my model"]),
            (Items::Backends, &["chat", "chat=3"]),
        ];
        for (of, texts) in good {
            for text in texts {
                assert_eq!(check_item(of, text), None, "{of:?} {text}");
            }
        }
        let bad: [(Items, &[&str]); 6] = [
            (Items::Addresses, &["localhost:1876", "127.0.0.1", ""]),
            (Items::Hosts, &["x:1", "http://x", "", "a b", "[10.0.0.2]"]),
            (Items::Origins, &["*", "localhost", "http://x/", "http://", "http://x:y", "null"]),
            (Items::Questions, &["embedings", "speech"]),
            (Items::Models, &["", " a", "a\n"]),
            (Items::Backends, &["", "Chat", "chat=0"]),
        ];
        for (of, texts) in bad {
            for text in texts {
                let refusal = check_item(of, text).unwrap_or_else(|| panic!("{of:?} {text}"));
                assert!(refusal.hint.is_some_and(|hint| !hint.is_empty()));
            }
        }
        let hint = check_item(Items::Questions, "embedings").unwrap().hint.unwrap();
        assert_eq!(hint, "Did you mean embeddings?");
    }
}
