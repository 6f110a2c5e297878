//! Loading a model, and unloading one.

use plimsoll_app::{
    api::{Command, Fault, FaultCode, ServiceModelRequest},
    offline,
    services::actions::Action,
};
use serde_json::json;

use crate::{
    args::{Global, OfService},
    commands::{
        attach,
        follow::{self, Line},
        interrupt::Interrupt,
        options,
    },
    out::{self, Outcome},
};

pub async fn act(global: &Global, action: Action, of: OfService) -> Outcome {
    let request = ServiceModelRequest { id: of.id, model: of.model };
    if let Some(session) = attach(global).await? {
        let command = match action {
            Action::Load => Command::ServiceLoad(request),
            Action::Unload => Command::ServiceUnload(request),
        };
        let interrupt = Interrupt::take()?;
        let started = session.call(command).await?;
        return follow::job(&session, started, interrupt, global.json).await;
    }
    let mut line = Line::new();
    line.show(&format!("No Plimsoll runs; {} is asked from here …", request.id));
    let options = options(global);
    let mut interrupt = Interrupt::take()?;
    let done = tokio::select! {
        done = offline::act(&options, action, &request) => done,
        () = interrupt.pressed() => {
            let (id, model, verb) = (&request.id, &request.model, action.verb());
            let words = format!("Nobody waits any more. {id} may {verb} {model} all the same.");
            Err(Fault::new(FaultCode::Unavailable, words))
        }
    };
    line.clear();
    let message = done?;
    if global.json { out::json(&json!({ "message": message })) } else { out::line(message) }
}
