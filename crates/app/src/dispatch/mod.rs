//! The commands. Each is written once, here; every door leads to [`App::call`].

mod care;
mod history;
mod machine;

use plimsoll_core::{config::schema, metric::CATALOGUE};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    api::{Command, Done, Fault, FaultCode, Subscription},
    app::App,
    door::{Health, Host},
    hub::Listener,
    services::{actions::Action, hold},
};

impl Host for App {
    async fn call(&self, command: Command) -> Result<Box<RawValue>, Fault> {
        use Command as C;
        match command {
            C::About(_) => answer(self.about()),
            C::Status(_) => answer(self.status().await),
            C::PageLink(_) => answer(self.page_link()?),
            C::Metrics(_) => answer(CATALOGUE),
            C::Series(_) => answer(self.reader.series().await?),

            C::HistoryQuery(query) => answer(self.reader.query(&query).await?),
            C::HistoryStats(_) => answer(self.history_stats().await?),
            C::HistoryExport(request) => answer(self.export(request)?),
            C::Marks(range) => answer(self.marks(range).await?),
            C::Energy(range) => answer(self.energy(range).await?),

            C::Processes(_) => answer(self.processes.borrow().clone()),
            C::ProcessDetail(process) => answer(self.process_detail(process).await?),
            C::ProcessEnd(request) => answer(self.process_end(request).await?),

            C::Services(_) => answer(self.services.list()),
            C::ServiceShow(service) => answer(self.services.show(&service.id).await?),
            C::ServiceTest(test) => answer(self.services.test(&test).await?),

            C::ServicesFound(_) => answer(self.services.found()),
            C::ServiceAccept(service) => answer(self.services.accept(&service.id).await?),
            C::ServiceIgnore(service) => answer(self.services.ignore(&service.id).await?),
            C::ServiceRestore(service) => answer(self.services.restore(&service.id).await?),
            C::ServiceAdd(add) => answer(self.services.add(&self.config, add).await?),
            C::ServiceRemove(service) => answer(self.services.remove(&self.config, service).await?),

            C::ServiceLoad(model) => answer(self.service_act(Action::Load, &model).await?),
            C::ServiceUnload(model) => answer(self.service_act(Action::Unload, &model).await?),
            C::Hold(request) => answer(self.hold.begin(request).await?),
            C::HoldPlan(ask) => {
                answer(hold::fates(&self.services.list(), ask.services, self.now_ms())?)
            }
            C::HoldShow(_) => answer(self.hold.show()),
            C::HoldEnd(_) => answer(self.hold.end().await?),

            C::ServiceStart(service) => answer(self.services.start_run(&service.id).await?),
            C::ServiceStop(service) => answer(self.service_stop(&service.id)?),
            C::ServiceRestart(service) => answer(self.service_restart(&service.id)?),
            C::ServiceOutput(ask) => answer(self.services.output(&ask, self.now_ms()).await?),

            C::Traffic(_) => answer(self.traffic.now(&self.services.list(), self.now_ms())),
            C::Requests(ask) => answer(self.traffic.requests(&self.reader, ask).await?),
            C::RequestCancel(request) => answer(self.traffic.cancel(&request)?),
            C::RequestBody(request) => answer(self.traffic.body(&request)?),
            C::GatewayBodies(ask) => answer(self.traffic.keep_bodies(ask, self.now_ms())?),
            C::GatewayConnect(_) => answer(
                blocking({
                    let app = self.clone();
                    move || app.traffic.connect()
                })
                .await?,
            ),
            C::GatewayTest(test) => answer(self.traffic.test(test).await?),
            C::Keys(_) => answer(self.keys.list().await),
            C::KeyAdd(spec) => answer(self.keys.add(spec, self.now_ms()).await?),
            C::KeyChange(change) => {
                answer(self.keys.change(&change.id, change.spec, self.now_ms()).await?)
            }
            C::KeyRevoke(key) => answer(self.keys.revoke(&key.id, self.now_ms()).await?),

            C::Alerts(_) => answer(self.alerts.list()),
            C::AlertsHistory(range) => answer(self.alerts_history(range).await?),
            C::AlertAcknowledge(alert) => answer(self.alerts.acknowledge(&alert.id)?),
            C::AlertSnooze(snooze) => answer(self.alerts.snooze(&snooze.id, snooze.minutes)?),
            C::AlertRules(_) => answer(self.alerts.rules()),

            C::ConfigSchema(_) => answer(schema()),
            C::Config(_) => answer(self.config.view()),
            C::ConfigPreview(edit) => answer(self.config.preview(&edit).await?),
            C::ConfigApply(edit) => {
                self.services.judge(&edit.changes)?;
                let revision = self.apply(&edit).await?;
                self.traffic.settled().await;
                answer(revision)
            }
            C::ConfigRevisions(_) => answer(self.config.revisions().await?),
            C::ConfigRollback(request) => {
                let revision = self.config.rollback(&request).await?;
                self.traffic.settled().await;
                answer(revision)
            }
            C::ConfigUndo(request) => {
                let revision = self.config.undo(&request).await?;
                self.traffic.settled().await;
                answer(revision)
            }

            C::Limits(_) => answer(self.limits().await?),
            C::LimitsStage(stage) => answer(self.limits_stage(stage).await?),
            C::LimitsEffect(ask) => answer(self.limits_effect(&ask).await?),
            C::LimitsCompare(of) => answer(self.limits_compare(of.revision).await?),

            C::Jobs(_) => answer(self.jobs.all()),
            C::JobCancel(job) => answer(self.jobs.cancel(job.job)?),
            C::Storage(_) => answer(self.storage().await?),
            C::StorageBackup(folder) => answer(self.storage_backup(folder)?),
            C::StorageRestore(folder) => answer(self.storage_restore(folder).await?),
            C::StorageMove(folder) => answer(self.storage_move(folder)?),
            C::StorageDelete(request) => answer(self.storage_delete(request).await?),
            C::Log(request) => answer(self.log(request).await?),
            C::Doctor(_) => answer(self.doctor().await?),
            C::DoctorBundle(file) => answer(self.doctor_bundle(file).await?),
            C::Remember(remembered) => answer(self.remember(remembered).await?),
            C::Recall(key) => answer(self.recall(&key.key).await?),
        }
    }

    fn listen(&self, subscription: &Subscription) -> Listener {
        self.hub.listen(subscription)
    }

    fn health(&self) -> Health {
        self.how_it_is()
    }
}

/// An answer as JSON text.
fn answer(value: impl Serialize) -> Result<Box<RawValue>, Fault> {
    to_raw_value(&value).map_err(|error| {
        Fault::new(FaultCode::Internal, format!("An answer has no JSON: {error}."))
    })
}

fn done(message: impl Into<String>) -> Done {
    Done { message: message.into() }
}

/// Runs what blocks where blocking is allowed (MV18).
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::new(FaultCode::Internal, format!("It broke off: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    // MV18
    #[tokio::test(flavor = "current_thread")]
    async fn what_blocks_does_not_hold_up_the_runtime() {
        let (tell, told) = std::sync::mpsc::channel();
        let waits = tokio::spawn(blocking(move || told.recv()));
        // The one thread of this runtime goes on, or it could never say this.
        tell.send("done").unwrap();
        assert_eq!(waits.await.unwrap().unwrap(), Ok("done"));
    }

    #[tokio::test]
    async fn what_panics_in_blocking_work_is_a_fault_and_no_more() {
        let fault = blocking(|| panic!("on purpose")).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::Internal);
    }
}
