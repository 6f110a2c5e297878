//! What travels over the socket: one JSON object a line, both ways.
//!
//! ```text
//! ← {"hello":{"program":"owner","version":"0.1.0","protocol":1}}
//! → {"hello":{"program":"terminal","version":"0.1.0","protocol":1}}
//! → {"id":1,"command":"status","args":{}}
//! ← {"id":1,"answer":{…}}            or  {"id":1,"fault":{…}}
//! → {"id":2,"subscribe":{"metrics":["gpu."]}}     (null: no more)
//! ← {"id":2,"answer":{}}
//! ← {"live":{"event":"tick",…}}
//! ```

use plimsoll_core::{PROTOCOL, VERSION};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::api::{Command, Fault, FaultCode, Live, Subscription};

/// Longest request; the largest is a configuration's text.
pub const MAX_REQUEST: usize = 2 << 20;
/// Longest answer a client takes; the largest is a query of 64 series at full width.
pub const MAX_ANSWER: usize = 64 << 20;

/// The first line from either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `owner`, `window` or `terminal`.
    pub program: String,
    pub version: String,
    pub protocol: u32,
}

/// A line to the owner.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub hello: Option<Hello>,
    pub id: Option<u64>,
    pub command: Option<String>,
    pub args: Option<Box<RawValue>>,
    /// Outer `None`: no such field; inner `None`: `null`, listen no more.
    #[serde(default, deserialize_with = "present")]
    pub subscribe: Option<Option<Subscription>>,
}

/// A line from the owner.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Hello>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// `null` is an answer too: nothing was remembered, say.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub answer: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

// === impl Hello ===

impl Hello {
    pub fn of(program: &str) -> Self {
        Self { program: program.to_owned(), version: VERSION.to_owned(), protocol: PROTOCOL }
    }
}

// === impl Reply ===

impl Reply {
    pub fn to(id: u64, outcome: Result<Box<RawValue>, Fault>) -> Self {
        match outcome {
            Ok(answer) => Self { id: Some(id), answer: Some(answer), ..Self::default() },
            Err(fault) => Self { id: Some(id), fault: Some(fault), ..Self::default() },
        }
    }

    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| {
            // Only a type that cannot be JSON leads here; the asker must still hear of it.
            let fault = Fault::new(FaultCode::Internal, format!("An answer has no JSON: {error}"));
            serde_json::json!({ "id": self.id, "fault": fault }).to_string()
        })
    }
}

/// The command of that name with these arguments; `args` left away means none.
pub fn command(name: &str, args: Option<&RawValue>) -> Result<Command, Fault> {
    if !Command::NAMES.contains(&name) {
        return Err(Fault::new(FaultCode::NotFound, format!("There is no command {name:?}."))
            .hint(format!("There are: {}.", Command::NAMES.join(", "))));
    }
    let args = args.map_or("{}", RawValue::get);
    let text = format!("{{\"command\":{},\"args\":{args}}}", serde_json::Value::from(name));
    serde_json::from_str(&text)
        .map_err(|error| Fault::new(FaultCode::Invalid, format!("{name}: {}.", plain(&error))))
}

/// A whole `{"command":…,"args":…}` as text.
pub fn command_from_json(text: &str) -> Result<Command, Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole<'a> {
        command: String,
        #[serde(borrow)]
        args: Option<&'a RawValue>,
    }
    let whole: Whole<'_> = serde_json::from_str(text).map_err(|error| {
        Fault::new(FaultCode::Invalid, format!("This is no command: {}.", plain(&error)))
    })?;
    command(&whole.command, whole.args)
}

/// The two sides speak different protocols: says which of them to restart.
pub fn mismatch(owner: &Hello, caller: &Hello, owner_pid: Option<u32>) -> Option<Fault> {
    if owner.protocol == caller.protocol {
        return None;
    }
    let process = owner_pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let message = format!(
        "The running Plimsoll{process} is version {} and speaks protocol {}; this {} is version {} \
         and speaks protocol {}.",
        owner.version, owner.protocol, caller.program, caller.version, caller.protocol
    );
    let hint = if owner.protocol < caller.protocol {
        format!("Restart the running one{process}: it is the older of the two.")
    } else {
        format!("Restart this {}, or update it: it is the older of the two.", caller.program)
    };
    Some(Fault::new(FaultCode::Protocol, message).hint(hint))
}

/// A parser's words without the place within a line that nobody sees.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |at| text[..at].to_owned())
}

/// A field that is there is `Some`, also where it says `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_be_left_away_where_there_are_none() {
        assert!(matches!(command("status", None).unwrap(), Command::Status(_)));
        assert!(matches!(
            command_from_json(r#"{"command":"status"}"#).unwrap(),
            Command::Status(_)
        ));
    }

    #[test]
    fn a_wrong_command_or_argument_is_named() {
        let fault = command("stauts", None).unwrap_err();
        assert_eq!(fault.code, FaultCode::NotFound);
        assert!(fault.message.contains("stauts") && fault.hint.unwrap().contains("status"));
        let fault = command_from_json(r#"{"command":"jobs.cancel","args":{"jbo":1}}"#).unwrap_err();
        assert_eq!(fault.code, FaultCode::Invalid);
        assert!(fault.message.contains("jbo"), "{fault}");
        assert!(!fault.message.contains("line"), "{fault}");
    }

    #[test]
    fn null_is_an_answer() {
        let nothing = Reply::to(1, Ok(RawValue::NULL.to_owned()));
        let line = serde_json::to_string(&nothing).unwrap();
        let heard: Reply = serde_json::from_str(&line).unwrap();
        assert_eq!(heard.answer.unwrap().get(), "null", "{line}");
        let heard: Reply = serde_json::from_str(r#"{"id":1}"#).unwrap();
        assert!(heard.answer.is_none());
    }

    #[test]
    fn ending_a_subscription_is_told_from_not_naming_one() {
        let request: Request = serde_json::from_str(r#"{"id":1,"subscribe":null}"#).unwrap();
        assert_eq!(request.subscribe, Some(None));
        let request: Request = serde_json::from_str(r#"{"id":1,"command":"status"}"#).unwrap();
        assert_eq!(request.subscribe, None);
    }

    #[test]
    fn the_older_side_is_the_one_to_restart() {
        let old = Hello { protocol: 1, ..Hello::of("owner") };
        let new = Hello { protocol: 2, ..Hello::of("terminal") };
        let fault = mismatch(&old, &new, Some(7)).unwrap();
        assert_eq!(fault.code, FaultCode::Protocol);
        assert!(fault.hint.unwrap().contains("Restart the running one (process 7)"));
        let fault = mismatch(&new, &old, None).unwrap();
        assert!(fault.hint.unwrap().contains("this owner"));
        assert_eq!(mismatch(&old, &old, None), None);
    }
}
