//! What a hold takes away, and what it cannot.

use plimsoll_services::{
    adapter::Stay,
    kind::ServiceKind,
    service::{Loaded, Model, Origin, RunState, Service, ServiceState},
};

use super::machine::{MAX_STEPS, Phase, Step};
use crate::{
    api::{Fault, HoldFate},
    services::{is_here, no_such},
};

/// Ollama's own time for a model, where nobody gave another. What was to stay longer was told so
/// by somebody; what was to stay shorter is brought back with the server's own.
const USUAL_MS: i64 = 300_000;

/// The steps that free the GPU of all services, or of those that are named. Models go before
/// services are stopped; what cannot be freed comes last and says why.
pub fn plan(services: &[Service], named: &[String], now_ms: i64) -> Vec<Step> {
    let (mut steps, mut stops, mut spared) = (Vec::new(), Vec::new(), Vec::new());
    for service in services {
        let is_named = named.contains(&service.id);
        if (!named.is_empty() && !is_named) || service.origin == Origin::Proposed {
            continue;
        }
        if !is_named && !is_here(service) {
            continue;
        }
        let spare = |why: String| Step::spared(&service.id, &service.name, why);
        match fate(service, now_ms) {
            Fate::Unload(models) => steps.extend(models),
            Fate::Stop => stops.push(Step::stop(&service.id, &service.name)),
            Fate::Stays(why) => spared.push(spare(why)),
            Fate::Free(why) if is_named => spared.push(spare(why)),
            Fate::Free(_) => {}
        }
    }
    steps.append(&mut stops);
    let more = steps.len().saturating_sub(MAX_STEPS);
    if let Some(first) = steps.get(MAX_STEPS - 1).filter(|_| more > 0) {
        let why = format!("It and {more} more are left: a hold has at most {MAX_STEPS} steps.");
        let note = Step { phase: Phase::Spared, trouble: why, ..first.clone() };
        steps.truncate(MAX_STEPS - 1);
        steps.push(note);
    }
    steps.append(&mut spared);
    steps.truncate(MAX_STEPS);
    steps
}

/// The same, told of each service and before anything is done.
pub fn fates(
    services: &[Service],
    named: Vec<String>,
    now_ms: i64,
) -> Result<Vec<HoldFate>, Fault> {
    known(services, &named)?;
    let mut fates: Vec<HoldFate> = Vec::new();
    for step in plan(services, &named, now_ms) {
        let can = step.phase == Phase::Planned;
        // The model of one that is left over is not unloaded.
        let model = step.model.filter(|_| can);
        if let Some(told) = fates.iter_mut().find(|fate| fate.service == step.service) {
            told.models.extend(model);
            continue;
        }
        fates.push(HoldFate {
            service: step.service,
            name: step.name,
            models: model.into_iter().collect(),
            vram_bytes: None,
            can,
            why: step.trouble,
        });
    }
    for fate in &mut fates {
        let service = services.iter().find(|service| service.id == fate.service);
        fate.vram_bytes = service.and_then(|service| held_bytes(service, &fate.models));
    }
    Ok(fates)
}

/// Whether there is each of them.
pub fn known(services: &[Service], named: &[String]) -> Result<(), Fault> {
    let is_known = |id: &&String| services.iter().any(|service| service.id == **id);
    match named.iter().find(|id| !is_known(id)) {
        Some(id) => Err(no_such(id, services.iter().map(|service| &*service.id))),
        None => Ok(()),
    }
}

/// What these models hold, where it is known of each; else what the service holds.
fn held_bytes(service: &Service, models: &[String]) -> Option<u64> {
    let sizes = |meant: &dyn Fn(&Model) -> bool| {
        let models = service.models.iter().filter(|model| is_resident(model) && meant(model));
        models.map(|model| model.vram_bytes).sum::<Option<u64>>().filter(|bytes| *bytes > 0)
    };
    let of_models = || sizes(&|model| models.contains(&model.name));
    let of_all = || sizes(&|_| true);
    let planned = || service.run.as_ref()?.planned_vram_bytes.filter(|bytes| *bytes > 0);
    of_models().or_else(|| whole_bytes(service)).or_else(of_all).or_else(planned)
}

/// What the service holds, as its server or its processes tell.
fn whole_bytes(service: &Service) -> Option<u64> {
    let told = service.vram.map(|vram| vram.total_bytes);
    told.or_else(|| service.holder.as_ref()?.vram_bytes)
}

enum Fate {
    Unload(Vec<Step>),
    Stop,
    /// It holds VRAM, and nothing can be done about it.
    Stays(String),
    /// It holds none.
    Free(String),
}

fn fate(service: &Service, now_ms: i64) -> Fate {
    // One that ended by itself is back in a moment.
    let up = [RunState::Running, RunState::Starting, RunState::Restarting];
    let runs = service.run.as_ref().is_some_and(|run| up.contains(&run.state));
    match service.state {
        ServiceState::Down if !runs => {
            return Fate::Free(format!("It is down: {}.", service.reason));
        }
        ServiceState::Unknown if !runs => return Fate::Free("It is not watched.".into()),
        _ => {}
    }
    let models: Vec<&Model> = service.models.iter().filter(|model| is_resident(model)).collect();
    if service.actions.load && service.actions.unload && !models.is_empty() {
        let step = |model: &Model| Step {
            stay: stay(service.kind, model, now_ms),
            can_stop: runs,
            ..Step::model(&service.id, &service.name, &model.name)
        };
        return Fate::Unload(models.into_iter().map(step).collect());
    }
    let bytes = whole_bytes(service);
    let planned = service.run.as_ref().and_then(|run| run.planned_vram_bytes);
    let engine = service.kind.is_some_and(ServiceKind::is_engine);
    let holds = bytes.map_or(!models.is_empty() || (runs && engine), |bytes| bytes > 0)
        || (runs && planned.is_some_and(|bytes| bytes > 0));
    if !holds {
        return Fate::Free("It holds no VRAM, as far as is known.".into());
    }
    if runs {
        return Fate::Stop;
    }
    let kind = service.kind.map_or("Its server", ServiceKind::label);
    if service.actions.unload && !service.actions.load && !models.is_empty() {
        return Fate::Stays(format!("{kind} could not load its model again."));
    }
    if service.actions.unload {
        return Fate::Stays("It holds VRAM beside its models, none of which is loaded.".into());
    }
    Fate::Stays(format!(
        "{kind} lets no model go while it runs, and Plimsoll did not start it. Stop it yourself, \
         or let Plimsoll run it: services.{}.command.",
        service.id
    ))
}

/// Lies in VRAM, or may.
fn is_resident(model: &Model) -> bool {
    matches!(model.loaded, Loaded::Loaded | Loaded::Loading) && model.vram_bytes != Some(0)
}

fn stay(kind: Option<ServiceKind>, model: &Model, now_ms: i64) -> Stay {
    if kind != Some(ServiceKind::Ollama) || model.loaded != Loaded::Loaded {
        return Stay::Usual;
    }
    match model.expires_ms {
        None => Stay::Always,
        Some(at_ms) if at_ms - now_ms > USUAL_MS => {
            u32::try_from((at_ms - now_ms) / 1000).map_or(Stay::Always, Stay::Seconds)
        }
        Some(_) => Stay::Usual,
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_services::{
        adapter::Actions,
        service::{Holder, Run},
    };

    use super::*;
    use crate::{
        api::FaultCode,
        services::hold::doubles::{model, service},
    };

    fn run(state: RunState) -> Option<Run> {
        Some(Run {
            state,
            reason: String::new(),
            since_ms: 0,
            pid: Some(1),
            restarts: 0,
            next_ms: None,
            planned_vram_bytes: None,
            command: Vec::new(),
        })
    }

    fn with_vram(mut service: Service, bytes: u64) -> Service {
        service.actions = Actions::default();
        service.holder = Some(Holder { vram_bytes: Some(bytes), ..Holder::default() });
        service
    }

    fn told(steps: &[Step]) -> Vec<(&str, Option<&str>, Phase)> {
        steps.iter().map(|s| (&*s.service, s.model.as_deref(), s.phase)).collect()
    }

    #[test]
    fn models_go_then_services_stop_and_what_stays_says_why() {
        use Phase::{Planned, Spared};
        let cpu = Model { vram_bytes: Some(0), ..model("on-cpu", Loaded::Loaded) };
        let ollama = vec![model("a", Loaded::Loaded), cpu, model("c", Loaded::Unloaded)];
        let mut managed = with_vram(service("llama", ServiceKind::LlamaCpp, Vec::new()), 5);
        managed.run = run(RunState::Running);
        let services = [
            managed,
            service("ollama", ServiceKind::Ollama, ollama),
            with_vram(service("redis", ServiceKind::Redis, Vec::new()), 0),
            with_vram(service("vllm", ServiceKind::Vllm, vec![model("m", Loaded::Loaded)]), 7),
        ];
        let steps = plan(&services, &[], 0);
        assert_eq!(
            told(&steps),
            [("ollama", Some("a"), Planned), ("llama", None, Planned), ("vllm", None, Spared)]
        );
        assert!(steps[2].trouble.contains("services.vllm.command"), "{:?}", steps[2]);
        // One that is named is told of in any case.
        let steps = plan(&services, &["redis".into()], 0);
        assert_eq!(told(&steps), [("redis", None, Spared)]);
        assert_eq!(steps[0].trouble, "It holds no VRAM, as far as is known.");
    }

    #[test]
    fn one_that_is_about_to_come_back_is_stopped_as_well() {
        let mut again = service("l", ServiceKind::LlamaCpp, Vec::new());
        (again.actions, again.state) = (Actions::default(), ServiceState::Down);
        for (state, steps) in [
            (RunState::Starting, 1),
            (RunState::Restarting, 1),
            (RunState::Waiting, 0),
            (RunState::Stopped, 0),
        ] {
            again.run = run(state);
            let plan = plan(std::slice::from_ref(&again), &[], 0);
            assert_eq!(plan.len(), steps, "{state:?}");
            assert!(plan.iter().all(|step| step.model.is_none() && step.phase == Phase::Planned));
        }
    }

    #[test]
    fn what_is_down_proposed_or_elsewhere_is_left() {
        let with = |id: &str| service(id, ServiceKind::Ollama, vec![model("a", Loaded::Loaded)]);
        let mut down = with("down");
        (down.state, down.reason) = (ServiceState::Down, "refused on 127.0.0.1:1".into());
        let mut found = with("found");
        found.origin = Origin::Proposed;
        let mut away = with("away");
        away.url = "http://10.0.0.7:11434".into();
        let services = [down, found, away];
        assert_eq!(plan(&services, &[], 0), []);
        let steps = plan(&services, &["away".into(), "down".into(), "found".into()], 0);
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].model.as_deref(), Some("a"), "it was named");
        assert_eq!(steps[1].trouble, "It is down: refused on 127.0.0.1:1.");
    }

    #[test]
    fn a_model_is_to_stay_as_it_did() {
        let until = |at| Model { expires_ms: at, ..model("m", Loaded::Loaded) };
        let of = |kind, at| stay(Some(kind), &until(at), 1_000_000);
        assert_eq!(of(ServiceKind::Ollama, None), Stay::Always);
        assert_eq!(of(ServiceKind::Ollama, Some(1_200_000)), Stay::Usual);
        assert_eq!(of(ServiceKind::Ollama, Some(8_200_000)), Stay::Seconds(7200));
        assert_eq!(of(ServiceKind::LlamaCpp, None), Stay::Usual);
    }

    #[test]
    fn a_plan_tells_of_each_service_what_goes_how_much_and_why_not() {
        let sized = |name, bytes| Model { vram_bytes: bytes, ..model(name, Loaded::Loaded) };
        let mut starts = service("new", ServiceKind::Speaches, Vec::new());
        (starts.state, starts.run) = (ServiceState::Down, run(RunState::Starting));
        starts.actions = Actions::default();
        let services = [
            service("o", ServiceKind::Ollama, vec![sized("a", Some(3)), sized("b", Some(1))]),
            service("half", ServiceKind::Ollama, vec![sized("c", Some(3)), sized("d", None)]),
            starts,
            with_vram(service("vllm", ServiceKind::Vllm, Vec::new()), 7),
            with_vram(service("redis", ServiceKind::Redis, Vec::new()), 0),
        ];
        let all = fates(&services, Vec::new(), 0).unwrap();
        let told: Vec<_> =
            all.iter().map(|f| (&*f.service, f.models.join(" "), f.vram_bytes, f.can)).collect();
        let want = [
            ("o", "a b".to_owned(), Some(4), true),
            ("half", "c d".into(), None, true),
            ("new", String::new(), None, true),
            ("vllm", String::new(), Some(7), false),
        ];
        assert_eq!(told, want);
        assert!(all[3].why.starts_with("vLLM lets no model go"), "{:?}", all[3]);
        assert!(all[..3].iter().all(|fate| fate.why.is_empty()));
        let one = fates(&services, vec!["redis".into()], 0).unwrap();
        assert_eq!((one.len(), one[0].can), (1, false));
        assert_eq!(fates(&services, vec!["nope".into()], 0).unwrap_err().code, FaultCode::NotFound);
    }

    // MV13
    #[test]
    fn more_than_fits_is_left_and_told() {
        let many = (0..200).map(|n| model(&format!("m{n}"), Loaded::Loaded)).collect();
        let steps = plan(&[service("o", ServiceKind::Ollama, many)], &[], 0);
        assert_eq!(steps.len(), MAX_STEPS);
        assert_eq!(steps[63].trouble, "It and 136 more are left: a hold has at most 64 steps.");
        assert_eq!((steps[62].phase, steps[63].phase), (Phase::Planned, Phase::Spared));
    }
}
