//! `services`: what runs beside Plimsoll, and how it is.

mod act;
mod choose;
mod run;
mod words;

use plimsoll_app::{
    api::{
        About, Command, IgnoredService, Nothing, ServiceId, ServiceTest, ServiceTested,
        ServicesFound,
    },
    offline,
    services::{actions::Action, no_such},
    session::Session,
};
use plimsoll_core::clock::{Clock, SystemClock};
use plimsoll_services::service::Service;

use self::words::{detail, model, row};
use crate::{
    args::{Global, ServiceAction, Services, TestOf},
    commands::{attach, options},
    out::{self, Failure, Outcome},
};

pub async fn run(global: &Global, args: Services) -> Outcome {
    match args.action {
        None | Some(ServiceAction::List) => list(global).await,
        Some(ServiceAction::Show { id }) => show(global, &id).await,
        Some(ServiceAction::Test(of)) => test(global, of).await,
        Some(ServiceAction::Accept { id }) => choose::accept(global, id).await,
        Some(ServiceAction::Ignore { id }) => choose::ignore(global, id).await,
        Some(ServiceAction::Restore { id }) => choose::restore(global, id).await,
        Some(ServiceAction::Add(service)) => choose::add(global, service).await,
        Some(ServiceAction::Load(of)) => act::act(global, Action::Load, of).await,
        Some(ServiceAction::Unload(of)) => act::act(global, Action::Unload, of).await,
        Some(ServiceAction::Start(of)) => run::start(global, of).await,
        Some(ServiceAction::Stop(of)) => run::stop(global, of).await,
        Some(ServiceAction::Restart(of)) => run::restart(global, of).await,
        Some(ServiceAction::Output(of)) => run::output(global, of).await,
        Some(ServiceAction::Remove { id }) => choose::remove(global, id).await,
    }
}

async fn list(global: &Global) -> Outcome {
    let (services, found, simulated) = match attach(global).await? {
        Some(session) => {
            let about: About = session.call(Command::About(Nothing {})).await?;
            let services: Vec<Service> = session.call(Command::Services(Nothing {})).await?;
            let found = session.call(Command::ServicesFound(Nothing {})).await?;
            (services, found, about.simulated)
        }
        None => {
            let (services, ignored) = configured(global).await?;
            (services, ServicesFound { ignored, ..ServicesFound::default() }, global.demo)
        }
    };
    if global.json {
        return out::json(&services);
    }
    if services.is_empty() {
        out::line(if simulated {
            "None now: the demo's services play while it runs (`plimsoll --demo up`)."
        } else if found.searching {
            "None was found so far, and none is configured: `plimsoll services add http://127.0.0.1:8080`."
        } else {
            "No service is configured: `plimsoll services add http://127.0.0.1:8080`."
        })?;
    }
    let now_ms = SystemClock.now().wall_ms;
    let rows: Vec<Vec<String>> = services.iter().map(|service| row(service, now_ms)).collect();
    out::table(&rows)?;
    tell_besides(&found);
    Ok(())
}

/// What is no service, and good to know. On standard error: the list is a list.
fn tell_besides(found: &ServicesFound) {
    if let Some(docker) = &found.docker {
        out::aside(docker);
    }
    for id in &found.unclaimed {
        out::aside(format_args!(
            "services.{id} of the settings is in force nowhere: it has no url, and no accepted \
             service has that id (`plimsoll services remove {id}` takes it out)"
        ));
    }
    let ids: Vec<&str> = found.ignored.iter().map(|of| of.id.as_str()).collect();
    if let Some(first) = ids.first() {
        let ids = ids.join(", ");
        out::aside(format_args!("ignored: {ids} (`plimsoll services restore {first}`)"));
    }
}

async fn show(global: &Global, id: &str) -> Outcome {
    let service: Service = match attach(global).await? {
        Some(session) => shown(&session, id).await?,
        None => {
            let (services, _) = configured(global).await?;
            let known = services.iter().find(|service| service.id == id).cloned();
            known.ok_or_else(|| no_such(id, services.iter().map(|service| &*service.id)))?
        }
    };
    if global.json {
        return out::json(&service);
    }
    out::table(&detail(&service))
}

async fn shown(session: &Session, id: &str) -> Result<Service, plimsoll_app::api::Fault> {
    session.call(Command::ServiceShow(ServiceId { id: id.into() })).await
}

async fn test(global: &Global, TestOf { target, ca_file }: TestOf) -> Outcome {
    let ask = ServiceTest { target, ca_file: choose::whole(ca_file)?, ..ServiceTest::default() };
    let tested: ServiceTested = match attach(global).await? {
        Some(session) => session.call(Command::ServiceTest(ask)).await?,
        None => offline::test_service(&options(global), &ask).await?,
    };
    if global.json {
        return out::json(&tested);
    }
    out::line(&tested.message)?;
    let rows: Vec<_> = tested.models.iter().map(|m| vec![String::new(), model(m)]).collect();
    out::table(&rows)
}

/// Where no Plimsoll runs: what it would watch or propose, and what it would not.
async fn configured(global: &Global) -> Result<(Vec<Service>, Vec<IgnoredService>), Failure> {
    let offline::Listed { services, ignored, problems } =
        offline::services(&options(global)).await?;
    // On standard error: the list has the same shape either way.
    out::aside("not running; as the configuration has it");
    if !problems.is_empty() {
        out::aside("the configuration has problems: `plimsoll config validate` names them");
    }
    Ok((services, ignored))
}
