//! The commands a person can give, each written once.
//!
//! [`Command`] is what travels: `{"command":"history.query","args":{…}}`. The
//! answer is the type that stands beside it in the table below, or a [`Fault`].
//! The window's TypeScript types are generated from the same table.

mod fault;
mod gateway;
mod limits;
mod live;
mod services;
mod types;
mod typescript;

pub use fault::{Fault, FaultCode};
pub use gateway::*;
pub use limits::*;
pub use live::{Live, LiveValue, Subscription};
pub use services::*;
pub use types::*;
pub use typescript::bindings;

use plimsoll_core::{
    alert::{Alert, AlertRow},
    config::wire::{ConfigView, Preview, Revision, SettingSpec},
    log::LogEntry,
    mark::Mark,
    metric::MetricSpec,
    process::{EndProcess, ProcessDetail, ProcessTable},
    series::{Answer, Query, SeriesInfo},
};
use plimsoll_services::service::Service;
use serde::{Deserialize, Serialize};

macro_rules! commands {
    ($($(#[$doc:meta])* $name:literal $variant:ident($args:ty) -> $answer:ty;)*) => {
        /// A command with its arguments.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "command", content = "args")]
        pub enum Command { $($(#[$doc])* #[serde(rename = $name)] $variant($args)),* }

        impl Command {
            /// Every command's name, in the table's order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            pub fn name(&self) -> &'static str {
                match self { $(Command::$variant(_) => $name),* }
            }
        }

        /// The TypeScript interface `Commands`: name → arguments and answer.
        pub fn commands_typescript(config: &ts_rs::Config) -> String {
            let mut text = String::from("export interface Commands {\n");
            $(text.push_str(&format!(
                "  {:?}: {{ args: {}; answer: {} }};\n",
                $name,
                <$args as ts_rs::TS>::name(config),
                <$answer as ts_rs::TS>::name(config),
            ));)*
            text.push_str("}\n");
            text
        }

        /// Calls `visit` with every type of the table.
        pub fn visit_types(visitor: &mut impl ts_rs::TypeVisitor) {
            $(visitor.visit::<$args>(); visitor.visit::<$answer>();)*
            visitor.visit::<Fault>();
            visitor.visit::<Live>();
            visitor.visit::<Subscription>();
        }
    };
}

commands! {
    /// Who owns the data folder, on which machine.
    "about" About(Nothing) -> About;
    /// How Plimsoll itself is doing.
    "status" Status(Nothing) -> Status;
    /// A new one-time link to the loopback page. Not over the page itself: who is in lets in
    /// nobody else.
    "page.link" PageLink(Nothing) -> PageLink;
    /// The metric catalogue.
    "metrics" Metrics(Nothing) -> Vec<MetricSpec>;
    /// Every series the history holds, with its latest value.
    "series" Series(Nothing) -> Vec<SeriesInfo>;

    "history.query" HistoryQuery(Query) -> Answer;
    "history.stats" HistoryStats(Nothing) -> HistoryStats;
    /// Starts a job that writes a file; its progress comes with the live stream.
    "history.export" HistoryExport(ExportRequest) -> JobStarted;
    "marks" Marks(Range) -> Vec<Mark>;
    /// Energy over a range, from the energy counter or, without one, from power.
    "energy" Energy(Range) -> EnergyReport;

    "processes" Processes(Nothing) -> ProcessTable;
    "processes.detail" ProcessDetail(Pid) -> ProcessDetail;
    "processes.end" ProcessEnd(EndProcess) -> Done;

    /// All services, as they are now.
    "services" Services(Nothing) -> Vec<Service>;
    /// One service: what was seen within the last 30 s, else a look now.
    "services.show" ServiceShow(ServiceId) -> Service;
    /// Tries an address or a configured service out, and watches nothing.
    "services.test" ServiceTest(ServiceTest) -> ServiceTested;
    "services.found" ServicesFound(Nothing) -> ServicesFound;
    /// Watches a service that was found from now on.
    "services.accept" ServiceAccept(ServiceId) -> Done;
    /// Proposes a service that was found no more.
    "services.ignore" ServiceIgnore(ServiceId) -> Done;
    /// Proposes one again that was ignored.
    "services.restore" ServiceRestore(ServiceId) -> Done;
    /// Writes a service into the configuration, as a revision. With the id of one that was
    /// found it takes that one's place.
    "services.add" ServiceAdd(ServiceAdd) -> ServiceAdded;
    "services.remove" ServiceRemove(ServiceRemove) -> ServiceRemoved;
    /// Starts a job; its last message says what it took, with VRAM before and after.
    "services.load" ServiceLoad(ServiceModelRequest) -> JobStarted;
    "services.unload" ServiceUnload(ServiceModelRequest) -> JobStarted;
    /// Starts a managed service; answers at once.
    "services.start" ServiceStart(ServiceId) -> Done;
    /// Starts a job that stops a managed service. What runs there may end first, for
    /// `gateway.drain_s`; until then the job can be cancelled, and nothing has happened.
    "services.stop" ServiceStop(ServiceId) -> JobStarted;
    /// The same, and starts it again, with its launch settings as they are now.
    "services.restart" ServiceRestart(ServiceId) -> JobStarted;
    /// What a managed service wrote last.
    "services.output" ServiceOutput(ServiceOutputRequest) -> ServiceOutput;
    /// Frees the GPU for a while, or changes how long.
    "hold" Hold(HoldRequest) -> Hold;
    /// What a hold would free as it is now, and what it could not; nothing is done.
    "hold.plan" HoldPlan(HoldPlanRequest) -> Vec<HoldFate>;
    /// The hold that is on, or the one that ended last.
    "hold.show" HoldShow(Nothing) -> Option<Hold>;
    /// Ends it before its time: everything is brought back.
    "hold.end" HoldEnd(Nothing) -> Hold;

    /// All that passes the gateway now.
    "traffic" Traffic(Nothing) -> Traffic;
    /// The request log, the newest first.
    "requests" Requests(RequestsAsk) -> RequestPage;
    /// Ends a request that is queued or in flight.
    "requests.cancel" RequestCancel(RequestId) -> Done;
    /// What a client sent and got, where bodies are kept of it.
    "requests.body" RequestBody(RequestId) -> RequestBody;
    "gateway.bodies" GatewayBodies(BodiesAsk) -> Done;
    "gateway.connect" GatewayConnect(Nothing) -> Connect;
    "gateway.test" GatewayTest(GatewayTest) -> GatewayTested;
    /// Keys in force; never the keys themselves.
    "keys" Keys(Nothing) -> Vec<KeyInfo>;
    "keys.add" KeyAdd(KeySpec) -> KeyMade;
    "keys.change" KeyChange(KeyChange) -> KeyInfo;
    "keys.revoke" KeyRevoke(KeyId) -> Done;

    /// Active alerts, and those that ended within the last day.
    "alerts" Alerts(Nothing) -> Vec<Alert>;
    "alerts.history" AlertsHistory(Range) -> Vec<AlertRow>;
    "alerts.acknowledge" AlertAcknowledge(AlertId) -> Done;
    "alerts.snooze" AlertSnooze(AlertSnooze) -> Done;
    /// The rules in force, with their sentence and state.
    "alerts.rules" AlertRules(Nothing) -> Vec<AlertRule>;

    "config.schema" ConfigSchema(Nothing) -> Vec<SettingSpec>;
    "config" Config(Nothing) -> ConfigView;
    /// What the changes or the text would do; nothing is written.
    "config.preview" ConfigPreview(ConfigEdit) -> Preview;
    /// Writes the file and puts it in force as a new revision.
    "config.apply" ConfigApply(ConfigEdit) -> Revision;
    "config.revisions" ConfigRevisions(Nothing) -> Vec<Revision>;
    /// Puts the whole text of an earlier revision in force.
    "config.rollback" ConfigRollback(RollbackRequest) -> Revision;
    /// Takes back what one revision changed; later changes of other settings stay.
    "config.undo" ConfigUndo(RollbackRequest) -> Revision;

    /// Every limit with what holds, what is proposed, and what the presets would change.
    "limits" Limits(Nothing) -> LimitsView;
    /// Keeps what is staged, also over a restart.
    "limits.stage" LimitsStage(LimitsStage) -> LimitsDraft;
    /// What the changes would have done to the requests that were recorded.
    "limits.effect" LimitsEffect(LimitsAsk) -> LimitsEffect;
    /// What a revision did: before and after, over windows of one length.
    "limits.compare" LimitsCompare(RevisionId) -> LimitsCompared;

    "storage" Storage(Nothing) -> StorageReport;
    "storage.backup" StorageBackup(Folder) -> JobStarted;
    /// Checks the backup, then takes its place at the next start.
    "storage.restore" StorageRestore(Folder) -> Done;
    /// Copies the data there, and uses it from the next start.
    "storage.move" StorageMove(Folder) -> JobStarted;
    /// Deletes the history up to a moment, or all of it.
    "storage.delete" StorageDelete(DeleteRequest) -> Done;

    /// Jobs that run, and the last ones that ended; the newest first.
    "jobs" Jobs(Nothing) -> Vec<JobProgress>;
    "jobs.cancel" JobCancel(JobId) -> Done;
    "log" Log(LogRequest) -> Vec<LogEntry>;
    "doctor" Doctor(Nothing) -> DoctorReport;
    /// Writes a redacted bundle for a bug report.
    "doctor.bundle" DoctorBundle(FilePath) -> Written;
    /// What the window remembers for itself (chosen metrics, sizes), as JSON text.
    "remember" Remember(Remembered) -> Done;
    "recall" Recall(RememberKey) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_without_arguments_is_its_name_and_an_empty_object() {
        let text = serde_json::to_string(&Command::Status(Nothing {})).unwrap();
        assert_eq!(text, r#"{"command":"status","args":{}}"#);
    }

    #[test]
    fn an_unknown_argument_is_refused() {
        let text = r#"{"command":"jobs.cancel","args":{"job":1,"force":true}}"#;
        let error = serde_json::from_str::<Command>(text).unwrap_err();
        assert!(error.to_string().contains("force"), "{error}");
    }
}
