//! Whether something can be done with a model now; else why not, in words.

use plimsoll_core::config::nearest::nearest;
use plimsoll_services::{
    kind::ServiceKind,
    service::{Loaded, MAX_MODELS, Model, Origin, Service, ServiceState},
};

use super::actions::Action;
use crate::api::{Fault, FaultCode};

/// The model that is meant, where this can be done with it; else why not.
pub fn judge<'a>(service: &'a Service, action: Action, model: &str) -> Result<&'a Model, Fault> {
    let Service { id, name, .. } = service;
    let fault = |code, words: String| Err(Fault::new(code, words));
    if service.origin == Origin::Proposed {
        let words = format!("{name} was found, and nobody has accepted it yet.");
        return Err(Fault::new(FaultCode::Conflict, words)
            .hint(format!("Accept it first: plimsoll services accept {id}.")));
    }
    match service.state {
        ServiceState::Down => {
            return fault(FaultCode::Unavailable, format!("{name} is down: {}.", service.reason));
        }
        ServiceState::Unknown => {
            return fault(
                FaultCode::Unavailable,
                format!("{name} is not watched, so nothing can be done with it."),
            );
        }
        _ if service.checked_ms.is_none() => {
            let words = format!("{name} was not looked at yet.");
            return Err(Fault::new(FaultCode::Unavailable, words).hint("Try again in a moment."));
        }
        _ => {}
    }
    let can = match action {
        Action::Load => service.actions.load,
        Action::Unload => service.actions.unload,
    };
    if !can {
        let kind = service.kind.map_or("A server of no known kind", ServiceKind::label);
        let words = format!("{kind} has no way to {} a model while it runs.", action.verb());
        return Err(Fault::new(FaultCode::Invalid, words).hint(match service.kind {
            Some(ServiceKind::LlamaCpp) => "Started without a model (router mode) it has.",
            Some(ServiceKind::LmStudio) => "LM Studio 0.4 and later have.",
            _ => "Its model is that which it was started with.",
        }));
    }
    let meant = find(&service.models, model).ok_or_else(|| no_such_model(service, model))?;
    if action == Action::Load && meant.loaded == Loaded::Loading {
        let words = format!("{} is being loaded already.", meant.name);
        return fault(FaultCode::Conflict, words);
    }
    Ok(meant)
}

/// It answers.
pub fn is_up(service: &Service) -> bool {
    service.checked_ms.is_some() && service.state.serves()
}

/// By its name; for Ollama, one without a tag is the latest.
pub fn find<'a>(models: &'a [Model], name: &str) -> Option<&'a Model> {
    let of = |name: &str| models.iter().find(|model| model.name == name);
    of(name).or_else(|| of(&format!("{name}:latest")))
}

fn no_such_model(service: &Service, model: &str) -> Fault {
    let names = || service.models.iter().map(|model| &*model.name);
    let fault =
        Fault::new(FaultCode::NotFound, format!("{} has no model {model:?}.", service.name));
    // The tag may be what is missing.
    let bare = || names().filter(|name| name.split(':').next() == Some(model));
    let near = nearest(model, names()).or_else(|| bare().next());
    match near {
        Some(near) => fault.hint(format!("Did you mean {near}?")),
        None if service.models.is_empty() => fault.hint("It tells of none."),
        None => {
            let some: Vec<&str> = names().take(8).collect();
            let more = if service.models.len() >= MAX_MODELS {
                " and more than are listed"
            } else if service.models.len() > some.len() {
                " and more"
            } else {
                ""
            };
            fault.hint(format!("It has {}{more}.", some.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_services::adapter::Actions;

    use super::*;
    use crate::services::hold::doubles::{model, service};

    fn refused(service: &Service, action: Action, model: &str) -> (FaultCode, String, String) {
        let fault = judge(service, action, model).unwrap_err();
        (fault.code, fault.message, fault.hint.unwrap_or_default())
    }

    #[test]
    fn what_cannot_be_done_is_refused_at_once_and_says_why() {
        let models =
            vec![model("qwen2.5:7b", Loaded::Unloaded), model("m:latest", Loaded::Loading)];
        let well = service("ollama", ServiceKind::Ollama, models);
        assert_eq!(judge(&well, Action::Load, "qwen2.5:7b").unwrap().name, "qwen2.5:7b");
        assert_eq!(judge(&well, Action::Unload, "m").unwrap().name, "m:latest");
        let (code, words, hint) = refused(&well, Action::Load, "qwen2.5:8b");
        assert_eq!((code, &*words), (FaultCode::NotFound, "ollama has no model \"qwen2.5:8b\"."));
        assert_eq!(hint, "Did you mean qwen2.5:7b?");
        assert_eq!(refused(&well, Action::Load, "qwen2.5").2, "Did you mean qwen2.5:7b?");
        assert_eq!(refused(&well, Action::Load, "x").2, "It has qwen2.5:7b, m:latest.");
        let (code, words, _) = refused(&well, Action::Load, "m");
        assert_eq!((code, &*words), (FaultCode::Conflict, "m:latest is being loaded already."));

        let mut down = well.clone();
        (down.state, down.reason) = (ServiceState::Down, "refused on 127.0.0.1:1".into());
        let (code, words, _) = refused(&down, Action::Load, "m");
        assert_eq!(
            (code, &*words),
            (FaultCode::Unavailable, "ollama is down: refused on 127.0.0.1:1.")
        );
        let mut vllm = service("v", ServiceKind::Vllm, vec![model("m", Loaded::Loaded)]);
        vllm.actions = Actions::default();
        let (code, words, _) = refused(&vllm, Action::Unload, "m");
        assert_eq!(
            (code, &*words),
            (FaultCode::Invalid, "vLLM has no way to unload a model while it runs.")
        );
        let mut young = well.clone();
        young.checked_ms = None;
        assert_eq!(refused(&young, Action::Load, "m").0, FaultCode::Unavailable);
        let proposed = Service { origin: Origin::Proposed, ..well };
        assert_eq!(refused(&proposed, Action::Load, "m").0, FaultCode::Conflict);
    }
}
